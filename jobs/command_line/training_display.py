"""Shows a running training on standard error: a line for each epoch, and a bar within the epoch."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rich.progress import Progress

from jobs.command_line.pages import keep_figures
from jobs.command_line.progress import make_bars
from pipelines.mlflow_runs import runs
from pipelines.training.reports import EpochReport, StepReport, grouped


def training_bars() -> Progress:
    """Progress bars that disappear at the end; lines printed above them stay."""
    return make_bars(transient=True, remaining=False)


class TrainingDisplay:
    """A training listener without `epoch`, which each job adds with its own line.

    Args:
        bars: The progress bars, which must be shown already.
        epochs: Epochs of the training.
        record: Its MLflow run, from which the epochs that an earlier run has logged are read.
        unit: What is counted: frames or people.
        first: The text before the first step.
    """

    def __init__(self, bars: Progress, epochs: int, record: runs.Run, *, unit: str, first: str) -> None:
        self._bars, self._epochs, self._record, self._unit = bars, epochs, record, unit
        self._logged, self._restarts = record.last_epoch(), -1
        self._task = bars.add_task("", total=None, shown=first)
        # Time and number of the first step that this run reports. The remaining time is estimated from them.
        self._first: tuple[float, int] | None = None
        self._best: float | None = None
        # All epochs, including those of earlier runs of the training.
        self.history: list[dict[str, Any]] = []

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def started(self, epochs_done: int) -> None:
        """Print from where an interrupted training continues."""
        self._restarts += 1
        if self._restarts:
            self.say(f"workers died and were replaced, for the {self._restarts}. time")
        if epochs_done:
            self.say(f"going on after epoch {epochs_done}")

    def step(self, report: StepReport) -> None:
        """Move the bar."""
        self._bars.update(
            self._task,
            completed=report.step,
            total=report.steps,
            description=f"epoch {report.epoch}/{self._epochs}",
            shown=f"{report.per_second:,.0f} {self._unit}/s{self._left(report)}",
        )

    def log(self, report: EpochReport, selected: str | None, *, least: bool = False, **options: float) -> bool:
        """Log an epoch in MLflow, unless an earlier run of the training has done so.

        Args:
            report: The epoch.
            selected: The metric on held-out people by which the best epoch is chosen, which is marked; None: this epoch
                is not among those that are compared.
            least: Whether the least value is the best; else the largest is.
            options: Those of `grouped`.

        Returns:
            Whether the epoch is a new one.
        """
        self.history.append(report.metrics())
        metrics, value = grouped(report.metrics(), **options), report.validation.get(selected or "")
        if value is not None and (self._best is None or (value < self._best if least else value > self._best)):
            self._best = metrics["validation"][f"best_{selected}"] = value
        if report.epoch <= self._logged:
            return False
        self._record.log_metrics(metrics, step=report.epoch)
        return True

    def keep_curves(self, held_out: Mapping[str, str], label: str, best_epoch: int) -> None:
        """Keep figures of all epochs in the run.

        Args:
            held_out: The metrics on held-out people that are drawn, and what people call them.
            label: What these are, with their unit.
            best_epoch: The epoch that is marked, if people were held out.
        """
        from pipelines.report.job_figures import training_figures  # it loads Matplotlib

        keep_figures(lambda: training_figures(self.history, held_out, label, best_epoch), self._record)

    def _left(self, report: StepReport) -> str:
        """The remaining time at the speed of this run's steps so far."""
        now, done = time.monotonic(), (report.epoch - 1) * report.steps + report.step
        if self._first is None or done <= self._first[1]:
            self._first = now, done
            return ""
        left_s = (now - self._first[0]) / (done - self._first[1]) * (self._epochs * report.steps - done)
        return f", about {timedelta(seconds=round(left_s))} left"
