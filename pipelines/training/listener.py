"""The protocol of a training's listener, in a module of its own because the other ones load Ray."""

from typing import Protocol

from pipelines.training.reports import EpochReport, StepReport


class TrainingListener(Protocol):
    """Follows a training's progress; its methods are called in a thread of their own."""

    def started(self, epochs_done: int) -> None:
        """Called when workers begin, or replace others, after `epochs_done` epochs."""
        ...

    def step(self, report: StepReport) -> None:
        """Called now and then within an epoch."""
        ...

    def epoch(self, report: EpochReport) -> None:
        """Called once for each epoch, including those that earlier runs of the same training finished."""
        ...
