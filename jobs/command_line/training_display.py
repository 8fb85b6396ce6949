"""What trainings show while they run: a line for each epoch, and a bar within it, on standard error."""

import time
from datetime import timedelta

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from jobs.command_line.progress import make_progress
from pipelines.mlflow_runs import runs
from pipelines.training.reports import StepReport


def training_bars() -> Progress:
    """Bars that are gone when training is done; lines stay."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[shown]}"), TimeElapsedColumn())
    return make_progress(*columns, transient=True)


class TrainingDisplay:
    """Hears how a training goes; what an epoch says is its own.

    Args:
        bars: Shown already.
        epochs: Of the training.
        record: Its MLflow run, which says what an earlier part of the training has logged.
        unit: What a step counts: frames or people.
        first: What is shown before the first step.
    """

    def __init__(self, bars: Progress, epochs: int, record: runs.Run, *, unit: str, first: str) -> None:
        self._bars, self._epochs, self._record, self._unit = bars, epochs, record, unit
        self._logged, self._restarts = record.last("epoch") or 0, -1
        self._task = bars.add_task("", total=None, shown=first)
        # When this run's first step was heard of, and which it was: for the time that is left.
        self._first: tuple[float, int] | None = None

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def started(self, epochs_done: int) -> None:
        """Say where workers take up an interrupted training."""
        self._restarts += 1
        if self._restarts:
            self.say(f"workers died and were replaced, for the {self._restarts}. time")
        if epochs_done:
            self.say(f"going on after epoch {epochs_done}")

    def step(self, at: StepReport) -> None:
        """Move the bar."""
        self._bars.update(
            self._task,
            completed=at.step,
            total=at.steps,
            description=f"epoch {at.epoch}/{self._epochs}",
            shown=f"{at.frames_per_s:,.0f} {self._unit}/s{self._left(at)}",
        )

    def _left(self, at: StepReport) -> str:
        """How long the training will take at the pace of this run's steps so far."""
        now, done = time.monotonic(), (at.epoch - 1) * at.steps + at.step
        if self._first is None or done <= self._first[1]:
            self._first = now, done
            return ""
        left_s = (now - self._first[0]) / (done - self._first[1]) * (self._epochs * at.steps - done)
        return f", about {timedelta(seconds=round(left_s))} left"
