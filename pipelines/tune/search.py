"""The state of a running search, kept consistent in the output, in MLflow and in the sampler. Independent of Ray."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pipelines.mlflow_runs.child_runs import ChildRun
from pipelines.mlflow_runs.runs import Run
from pipelines.search.samplers import NOTHING_KNOWN, Beginning, Sampler, known_combinations
from pipelines.search.trial_values import own_values, trial_config, trial_count
from pipelines.training.reports import grouped
from pipelines.tune import trial_records
from pipelines.tune.best_files import write_best
from pipelines.tune.budgets import Budgets
from pipelines.tune.lifter_costs import LifterCosts
from pipelines.tune.listener import SearchListener
from pipelines.tune.ranking import Ranking
from pipelines.tune.time_left import time_of_repeats_s
from pipelines.tune.trial_records import SEED, TrialRecord
from pipelines.tune.trial_runs import begin_run, send_ended
from pipelines.tune.warm_start import ending_of
from schemas.configs.search_metrics import read_limits
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig
from schemas.errors import RunFailed, UserError

# At the end, entries that were kept while MLflow's server was away are waited for at most this long, s.
LONGEST_SENDING_S = 300.0


class Search:
    """Records what happens to trials in the output, in MLflow and in the sampler.

    Args:
        config: The job.
        space: What is searched.
        run: The search's MLflow run, of which each trial gets a child run.
        listener: Follows the progress.
        beginning: What is known before the first trial.
        costs: Measures what the lifters of trials cost; None if nobody asks for it.

    Attributes:
        run: The search's MLflow run.
        failure: Why the output could not be written, which ends the search; None otherwise.
        repeating: Whether the best trials are trained again with other seeds, which comes last.
    """

    def __init__(
        self,
        config: TuneConfig,
        space: Space,
        run: Run,
        listener: SearchListener,
        beginning: Beginning = NOTHING_KNOWN,
        costs: LifterCosts | None = None,
    ) -> None:
        self.config, self.space = config, space
        self.costs = costs
        self.failure: RunFailed | None = None
        self.repeating = False
        self.run, self._listener = run, listener
        self._own = own_values(config, space)
        self._budgets = Budgets(config)
        self._ranking: Ranking | None = None
        records = trial_records.read_trials(config.output, space, self._own)
        self.records = {record.number: record for record in records}
        proposed = self.ranking.proposed
        # Trials that were interrupted, or that lost their processes, precede new ones.
        self._waiting = [record.number for record in proposed if not record.ended]
        missing = trial_count(config, space, known_combinations(config, space, beginning)) - len(proposed)
        first = max(self.records, default=0) + 1
        self._waiting += range(first, first + missing)
        # For each repeat, by its number: the number of the trial, and its values with another seed.
        self._repeats: dict[int, tuple[int, dict[str, Any]]] = {}
        self._sampler = Sampler(config, space, beginning)
        for record in proposed:
            if record.ended:
                self._tell(record)
            else:
                self._sampler.resume(record.number, record.parameters)
        self._without_models: set[int] = set()
        self._runs: dict[int, ChildRun] = {}
        self._started_at: dict[int, float] = {}
        self._most_running = 1  # of the trials of this command, at a time
        # Errors on held-out people, by (number of the trial, epoch).
        self._validation: dict[tuple[int, int], Mapping[str, float]] = {}

    @property
    def ranking(self) -> Ranking:
        """The order of the trials so far."""
        # Ray Tune asks some forty times a trial whether the search is to end, so the order is kept between the changes.
        if self._ranking is None:
            self._ranking = Ranking(self.config, self._own, self.records.values())
        return self._ranking

    @property
    def waiting(self) -> list[int]:
        """Numbers of the trials that have to start or to continue; none once the search is to end."""
        patience = self.config.patience
        if self.config.finish or self.out_of_time:
            return []
        if patience is not None and not self.repeating and self.ranking.trials_since_best >= patience:
            return []
        return list(self._waiting)

    @property
    def out_of_time(self) -> bool:
        """Whether a budget is used up, apart from what the repeats of the best trials will need of it."""
        if not self._budgets.given:
            return False
        repeats_s = 0.0 if self.repeating else time_of_repeats_s(self.config, self.ranking)
        return self._budgets.used_up(self.time_in_trials_s, repeats_s, self._most_running)

    @property
    def time_in_trials_s(self) -> float:
        """The time of all trials together."""
        now = time.monotonic()
        running_s = sum(now - began_at for began_at in self._started_at.values())
        return running_s + sum(r.seconds for number, r in self.records.items() if number not in self._started_at)

    def send_ended(self) -> None:
        """Send MLflow what it lacks of trials that ended in an earlier part of the search."""
        earlier = [record for number, record in self.records.items() if number not in self._runs]
        self._runs |= send_ended(self.config, self.space, self.run, earlier)

    def repeat_best(self) -> None:
        """Begin to train the best trials again with other seeds, if the config asks for it."""
        ranking, self.repeating = self.ranking, True
        self._waiting = [record.number for record in ranking.interrupted_repeats]
        for number, (trial, seed) in enumerate(ranking.missing_repeats, start=max(self.records, default=0) + 1):
            self._repeats[number] = trial.number, trial.parameters | {SEED: seed}
            self._waiting.append(number)

    @property
    def running(self) -> list[TrialRecord]:
        """The running trials."""
        return [self.records[number] for number in self._started_at]

    def begin(self) -> TrialRecord:
        """Start the next trial. If its values contradict each other, it has failed when this returns."""
        number = self._waiting.pop(0)
        before = self.records.get(number)
        if before is not None:
            repeats, parameters = before.repeats, before.parameters
        elif number in self._repeats:
            repeats, parameters = self._repeats[number]
        else:
            repeats, parameters = None, self._sampler.propose(number)
        folder, mistake, warmup = trial_records.trial_folder(self.config.output, number), None, 0
        measures: dict[str, float] = {}
        try:
            training = trial_config(self.config, parameters, folder)
            settings, warmup = training.model_dump(mode="json"), training.warmup_epochs
            measures = self.costs.of(training) if self.costs else {}
            mistake = self._too_large(measures)
        except UserError as error:
            settings, mistake = parameters, str(error)
        run_id = before.run_id if before is not None else ""
        record = TrialRecord(number, run_id, parameters, warmup_epochs=warmup, measures=measures, repeats=repeats)
        if before is not None:
            record = replace(record, seconds=before.seconds, exploited=before.exploited)
        self._runs[number] = begin_run(self.space, self.run, record, settings)
        record = replace(record, run_id=self._runs[number].run_id)
        self._started_at[number] = time.monotonic() - record.seconds
        self._most_running = max(self._most_running, len(self._started_at))
        self._write(record)
        self._listener.began(record)
        if mistake is not None:
            self.fail(number, mistake, hopeless=True)
        return self.records[number]

    def epoch(self, number: int, epoch: int, score_mm: float, metrics: Mapping[str, Any]) -> None:
        """A trial has ended an epoch; after an interruption it reports the earlier ones again, which MLflow has."""
        before = self.records[number]
        record = replace(before, scores_mm=before.scores_mm | {epoch: score_mm})
        self._keep(record)
        self._validation[number, epoch] = metrics.get("validation", {})
        weight = record.parameters.get("objective.pose", self.config.objective.pose)
        logged = grouped(metrics, pose_weight=weight)
        if record.best_mm == score_mm and epoch > record.warmup_epochs:
            logged["validation"][f"best_{self.config.error_metric}"] = score_mm
        self._runs[number].log_metrics(logged, step=epoch)
        self._listener.epoch(record)

    def exploited(self, number: int, source: str, parameters: Mapping[str, Any]) -> None:
        """A trial goes on from another's weights, with other values."""
        record = self.records[number]
        changed = replace(record, parameters=dict(parameters), exploited=(*record.exploited, source))
        self._runs[number].log_tags({"raylift.exploited": ", ".join(changed.exploited)})
        self._write(changed)
        self._listener.exploited(changed)

    def retry(self, number: int, reason: str) -> None:
        """A trial has failed and is retried."""
        self._listener.failed(self.records[number], reason)

    def finish(self, number: int, report: Mapping[str, Any]) -> None:
        """A trial has trained to its last epoch; `report` is its training's."""
        best, best_mm = report["best_epoch"], report["best_validation_mm"]
        scores_mm = self.records[number].scores_mm | {best: best_mm}
        measures = {**self._validation.get((number, best), {}), **self.records[number].measures}
        self._runs[number].log_tags({"raylift.data": report["data"], "raylift.state": "finished"})
        self._end(number, "FINISHED", state="finished", scores_mm=scores_mm, best_epoch=best, measures=measures)
        with self._keep_failure():
            trial_records.remove_checkpoints(self.config.output, number)

    def stop(self, number: int) -> None:
        """The scheduler has stopped a trial."""
        reason = f"by {self.config.scheduler} after epoch {max(self.records[number].scores_mm)}"
        self._runs[number].log_tags({"raylift.state": "stopped", "raylift.reason": reason})
        self._end(number, "FINISHED", state="stopped", reason=reason)

    def fail(self, number: int, reason: str, hopeless: bool) -> None:
        """A trial has failed and is not retried, in this run of the search or (`hopeless`) ever."""
        self._runs[number].log_tags({"raylift.state": "failed", "raylift.reason": reason})
        self._end(number, "FAILED", state="failed", reason=reason, hopeless=hopeless)

    def interrupt(self) -> None:
        """The search ends before its trials have ended."""
        for number, began_at in self._started_at.items():
            self._runs[number].end("KILLED")
            if self.failure is None:
                self._write(replace(self.records[number], seconds=time.monotonic() - began_at))
            self._listener.interrupted(self.records[number])
        self._started_at.clear()

    def measure_in_quiet(self) -> None:
        """Measure the costs of the finished trials' lifters again, because no trial runs beside them now."""
        if self.costs is None or "lift_frames_per_s" not in self.config.costs:
            return
        self.costs.forget()
        for record in self.ranking.best_first:
            folder = trial_records.trial_folder(self.config.output, record.number)
            measures = self.costs.of(trial_config(self.config, record.parameters, folder))
            self._write(replace(record, measures=record.measures | measures))

    def _too_large(self, measures: Mapping[str, float]) -> str | None:
        """Which limit on parameters a lifter breaks; None if it may be trained."""
        for limit in read_limits(self.config.constraints):
            if limit.metric == "parameters" and limit.excess(measures) > 0:
                return f"{limit.text}: the lifter has {measures['parameters']:,.0f}"
        return None

    def note_run_ids(self) -> None:
        """Note the MLflow runs of trials that began and ended while the server was away, if it is back."""
        if self.run.queue.settle(LONGEST_SENDING_S):
            self.send_ended()  # it may have been away at the start too
            self.run.queue.settle(LONGEST_SENDING_S)
        for number, run in self._runs.items():
            if run.run_id != self.records[number].run_id:
                self._write(replace(self.records[number], run_id=run.run_id))

    def _end(self, number: int, status: Any, **changes: Any) -> None:
        seconds = time.monotonic() - self._started_at.pop(number)
        run = self._runs[number]
        record = replace(self.records[number], seconds=seconds, run_id=run.run_id, **changes)
        run.end(status)
        self._write(record)
        self._tell(record)
        self._listener.ended(record)  # it draws the page, which is there no later than the first best model
        with self._keep_failure():
            self._keep_models(record)

    def _keep_models(self, ended: TrialRecord) -> None:
        """Keep the best model beside the trials, and remove those of finished trials that are not among the best."""
        ranking = self.ranking
        if ended == ranking.best:
            write_best(self.config, ranking)
        # Repeats are compared with each other only when all have ended, so their models stay until then.
        if not self.repeating:
            removed = {record.number for record in ranking.best_first} - ranking.kept - self._without_models
            trial_records.remove_models(self.config.output, removed)
            self._without_models |= removed

    def _keep(self, record: TrialRecord) -> None:
        self.records[record.number] = record
        self._ranking = None

    def _write(self, record: TrialRecord) -> None:
        self._keep(record)
        with self._keep_failure():
            trial_records.write_trial(self.config.output, record)

    @contextmanager
    def _keep_failure(self) -> Iterator[None]:
        """Keep the error of a failed write in `failure`, because Ray Tune turns exceptions of callbacks into text."""
        try:
            yield
        except RunFailed as error:
            self.failure = error
            raise

    def _tell(self, record: TrialRecord) -> None:
        if record.repeats is None:
            self._sampler.tell(record.number, record.parameters, ending_of(self.config, record))
