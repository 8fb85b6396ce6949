"""Search hyperparameters of a training: each trial is a training with some values changed, run by Ray Tune.

raylift tune tune_small labeled=mocap/tracks output=search data.validation_subjects=[S002]
Another space: search_space.optimization.learning_rate='{loguniform: [1e-4, 1e-2]}'
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("tune"))

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from rich.progress import Progress
from rich.table import Table

from jobs.command_line.arguments import plugin_config
from jobs.command_line.pages import keep_page
from jobs.command_line.progress import make_bars
from jobs.command_line.search_log import TRIALS_SHOWN, log_search, value
from jobs.command_line.terminal import Terminal, files_in
from jobs.train import track_sets
from pipelines.io import storage
from pipelines.mlflow_runs import runs, tracking_server
from pipelines.ray_cluster import prometheus
from pipelines.report.pages.search_page import best_first, search_page
from pipelines.search.trial_values import own_values
from pipelines.tune import run, search_report
from pipelines.tune.capacity import NO_ROOM, require_room_here, trial_capacity
from pipelines.tune.ranking import Ranking
from pipelines.tune.run import TuneJob, TuneWork
from pipelines.tune.time_left import time_left_s
from pipelines.tune.trial_records import TrialRecord, trial_name
from pipelines.tune.trial_runs import note_unsent
from schemas.configs.search_space import short_names
from schemas.configs.train import ERROR_NAMES
from schemas.configs.tune import TuneConfig, seconds

# The page is drawn again when trials have ended, but at most once in this time, and in at most this share of all time.
PAGE_INTERVAL_S, PAGE_SHARE = 60.0, 0.02


def main(config: TuneConfig) -> int:
    """Run the trials that the output lacks."""
    job = run.prepare(config, plugin_config)  # reports mistakes before anything is written
    with storage.sole_writer(config.output):
        work = run.survey(job)
        if work.nothing_to_do:
            more = f"trials={job.trials + 10} would go on"
            if config.finish:
                more = "without finish=true it would go on"
            elif job.exhausts_space:
                more = f"it tried all {job.trials} combinations of the search space"
            Terminal().print(f"tune: nothing to do: {config.output} holds the finished search; {more}")
            return 0
        capacity = NO_ROOM
        if work.trains:
            require_room_here(config)
            capacity = trial_capacity(config, job.trials)
        with runs.record("tune", config, work.run_id) as record, display(job, work, record) as listener:
            record.log_read(*(track_sets(config, job.plan) if job.plan else ()))
            report = run.execute(job, capacity, record, listener)
            keep_page(partial(search_page, report), config.output, "search.html", record)
            log_search(record, config, report)
            search_report.require_finished_trial(config, report)
        note_unsent(config.output, record.queue.lost)
    show(report)
    if record.queue.lost:
        Terminal().print(
            f"tracking  {tracking_server.address()} did not answer: what it lacks is in {config.output}; run the same "
            "command again when it does, and it is sent, or with the right address, if this one is wrong"
        )
    return 0


class Display:
    """A line for each trial that ends, and a bar over all epochs of all trials, on standard error."""

    def __init__(self, bars: Progress, job: TuneJob, work: TuneWork, record: runs.Run) -> None:
        before, trials = work.records, max(job.trials, len(work.records))
        self._record = record
        self._job, self._records, self._next_page_at = job, {trial.number: trial for trial in before}, 0.0
        self._bars, self._trials, self._epochs = bars, trials, job.config.optimization.epochs
        self._done = {trial.number for trial in before if trial.ended}
        self._running: dict[int, int] = {}
        # The start time of each running trial, in seconds of `time.monotonic`.
        self._began_at: dict[int, float] = {}
        self._own = own_values(job.config, job.space)
        self._ranking = self._ranked()
        self._best = self._best_so_far()
        self._started_at = time.monotonic()
        self._task = bars.add_task("", total=trials * self._epochs, shown="starting")
        if not before and (outside := job.untried_defaults):
            self.print_line(f"the config's own values are not tried, because the search space lacks {values(outside)}")
        if job.exhausts_space:
            self.print_line(f"{trials} trials try every combination of the search space")
        if self._done:
            self.print_line(f"going on after {len(self._done)} of {trials} trials")

    def print_line(self, line: str) -> None:
        """Print a line above the bar."""
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def began(self, trial: TrialRecord) -> None:
        """Count a trial that has begun."""
        self._keep(trial)
        if trial.repeats is not None:
            self._trials = max(self._trials, trial.number + len(self._ranking.missing_repeats))
            self._bars.update(self._task, total=self._trials * self._epochs)
        self._running[trial.number] = 0
        self._began_at[trial.number] = time.monotonic() - trial.seconds
        self._show()

    def epoch(self, trial: TrialRecord) -> None:
        """Move the bar."""
        self._running[trial.number] = max(trial.scores_mm)
        self._show()

    def exploited(self, trial: TrialRecord) -> None:
        """Print which trial's state was copied, and the new values."""
        self.print_line(f"trial {trial.name} goes on from {trial.exploited[-1]}  {values(trial.parameters)}")

    def failed(self, trial: TrialRecord, reason: str) -> None:
        """Print why a trial failed."""
        self.print_line(f"trial {trial.name} failed and is tried again: {reason}")

    def interrupted(self, trial: TrialRecord) -> None:
        """Count a trial no more that another command may go on with."""
        self._running.pop(trial.number, None)
        self._began_at.pop(trial.number, None)

    def ended(self, trial: TrialRecord) -> None:
        """Print how a trial ended."""
        prometheus.count_trial(failed=trial.state == "failed")
        self._running.pop(trial.number, None)
        self._began_at.pop(trial.number, None)
        self._done.add(trial.number)
        self._keep(trial)
        self._best = self._best_so_far()
        score = "" if trial.best_mm is None else f"  {trial.best_mm:.1f} mm"
        again = f" repeats {trial_name(trial.repeats)}," if trial.repeats else ""
        self.print_line(f"trial {trial.name}{again} {ending(trial)}{score}  {values(trial.parameters)}")
        self._show()
        if (began := time.monotonic()) > self._next_page_at:
            config = self._job.config
            report = search_report.compose(
                config, self._job.space, self._records.values(), self._job.data, self._record
            )
            keep_page(partial(search_page, report), config.output, "search.html")
            journal = partial(search_report.optuna_journal, config, self._job.space, self._records.values())
            keep_page(journal, config.output, search_report.JOURNAL)
            ended = time.monotonic()
            self._next_page_at = ended + max(PAGE_INTERVAL_S, (ended - began) / PAGE_SHARE)

    def _show(self) -> None:
        left_s, done = self._left_s(), float(len(self._done) * self._epochs + sum(self._running.values()))
        if self._job.config.budget is not None and left_s is not None:
            # A budget may end the search long before its trials, so the bar shows the time, if that is further on.
            so_far_s = time.monotonic() - self._started_at
            done = max(done, self._trials * self._epochs * so_far_s / (so_far_s + left_s))
        if left_s is None:
            left = "starting" if not self._running else ""
        else:
            left = f"about {timedelta(seconds=round(left_s))} left"
        self._bars.update(
            self._task,
            completed=done,
            description=f"{len(self._done)}/{self._trials} trials done, {len(self._running)} running{self._best}",
            shown=left,
        )

    def _best_so_far(self) -> str:
        """The best trial, and its gain over the config's own values."""
        ranking = self._ranking
        best, default = next(iter(ranking.best_first), None), ranking.default
        if best is None or best.best_mm is None:
            return ""
        gained = ""
        if default is not None and default != best and default.best_mm is not None:
            gained = f", {default.best_mm - best.best_mm:.1f} mm less than the config's own values"
        return f", best {best.best_mm:.1f} mm (trial {best.name}{gained})"

    def _keep(self, trial: TrialRecord) -> None:
        self._records[trial.number] = trial
        self._ranking = self._ranked()

    def _ranked(self) -> Ranking:
        return Ranking(self._job.config, self._own, self._records.values())

    def _left_s(self) -> float | None:
        """How long the search will take, s, by what its trials have taken so far; None before one has ended."""
        config, now = self._job.config, time.monotonic()
        running_s = {number: now - began_at for number, began_at in self._began_at.items()}
        left_s = time_left_s(config, self._ranking, self._job.trials, running_s)
        if config.budget is None:
            return left_s
        budget_s = max(0.0, self._started_at + seconds(config.budget) - now)
        return budget_s if left_s is None else min(left_s, budget_s)


@contextmanager
def display(job: TuneJob, work: TuneWork, record: runs.Run) -> Iterator[Display]:
    """The display while searching."""
    with make_bars(transient=True, remaining=False) as bars:
        yield Display(bars, job, work, record)


def ending(trial: TrialRecord) -> str:
    """How a trial ended, and why if not at its last epoch."""
    return trial.state + (f" ({trial.reason})" if trial.reason else "")


def values(parameters: Mapping[str, Any]) -> str:
    """The values of a trial, in a line."""
    return "  ".join(f"{path}={value(given)}" for path, given in parameters.items())


def show(report: dict[str, Any]) -> None:
    """The summary, one screen."""
    console = Terminal()
    console.print(report["verdict"])
    console.print()
    paths = list(report["search_space"])
    table = Table(box=None, padding=(0, 2, 0, 0))
    others = [name for name in report["metrics"] if name != report["metric"]]
    for column in ("trial", "state", *short_names(paths).values(), "mm", *others, "epochs"):
        right = column in ("mm", "epochs", *others)
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    # Repeats have the values of other trials, so they have no rows; their mean is printed below.
    trials = best_first(trial for trial in report["trials"] if not trial["repeats"])
    for trial in trials[:TRIALS_SHOWN]:
        score = trial["error_mm"]
        table.add_row(
            trial["trial"] + ("*" if trial["trial"] in report["front"] else ""),
            # The search has ended, so a trial that has not waits for another command.
            "interrupted" if trial["state"] == "running" else trial["state"],
            *(value(trial["parameters"].get(path, "–")) for path in paths),
            "" if score is None else f"{score:.1f}",
            *(f"{trial['measures'][name]:,.4g}" if name in trial["measures"] else "" for name in others),
            str(trial["epochs"]),
        )
    console.print(table)
    if len(trials) > TRIALS_SHOWN:
        console.print(f"… and {len(trials) - TRIALS_SHOWN} more, in report.json")
    for repeated in report["repeats"]:
        name, seeds, sd_mm = repeated["trial"], len(repeated["seeds"]), repeated["sd_mm"] or 0.0
        console.print(f"trial {name} with {seeds} other seeds: {repeated['mean_mm']:.1f} ± {sd_mm:.1f} mm (sd)")
    best, output = report["best"], report["output"]
    console.print()
    error = f"{best['error_mm']:.1f} mm {ERROR_NAMES[report['metric']]}"
    console.print(f"best      trial {best['trial']}, {error} held out")
    if report["front"]:
        console.print(f"front     *: {output}/front/{report['front'][0]}.yaml and so on, a recipe for each")
    console.print(f"output    {files_in(output, 'best.pt', 'best.yaml', 'search.html', 'report.json')}")
    console.print(f"train it  raylift train {output}/best.yaml output={output}/best")
