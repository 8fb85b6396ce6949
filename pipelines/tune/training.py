"""A training as the train job runs it, in a thread of its own, heard of epoch by epoch."""

import queue
import threading
from collections.abc import Mapping
from typing import Any

from pipelines.io import storage
from pipelines.train import run
from pipelines.train.run import TrainJob
from pipelines.training.events import Control
from pipelines.training.reports import EpochReport, StepReport
from pipelines.tune import ledger

# The state of another trial that a training goes on from.
START_SUFFIX = ".start.pt"
# Workers stop at their next step; should they hang, they end with this process.
STOPPING_S = 60


class TrialTraining:
    """The training of a trial; a `TrainingListener` of it.

    Args:
        job: The training.
        run_id: Its MLflow run.
        waits: Whether each epoch waits for who asks for it.

    Attributes:
        told: The last epoch told of.
        source: What the training goes on from, if from another trial: "003 after epoch 10".
        report: Of the training, once it has trained to its last epoch.
    """

    def __init__(self, job: TrainJob, run_id: str, waits: bool) -> None:
        self.report: dict[str, Any] | None = None
        config = job.config
        exploited = ledger.read_exploited(config.output)
        # What another trial did until then is its own.
        self.told: int = exploited["epoch"] if exploited else 0
        self.source = f"{exploited['trial']} after epoch {self.told}" if exploited else None
        start = start_file(config.output, exploited) if exploited else None
        self._last, self._waits = config.optimization.epochs, waits
        self._control = Control(0 if waits else None)
        self._events: queue.SimpleQueue[EpochReport | dict[str, Any] | Exception] = queue.SimpleQueue()

        def train() -> None:
            try:
                self._events.put(run.execute(job, run_id, self, start=start, control=self._control))
            except Exception as error:
                self._events.put(error)

        self._thread = threading.Thread(target=train, name="training", daemon=True)
        self._thread.start()

    def started(self, epochs_done: int) -> None:
        """Workers begin; the epochs follow by themselves."""

    def step(self, report: StepReport) -> None:
        """Tune hears of whole epochs only."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch has ended, now or before the training was interrupted."""
        self._events.put(report)

    def next_epoch(self) -> EpochReport:
        """Wait for the next epoch; after the last one, for the end.

        Raises:
            Exception: What ended the training.
        """
        if self._waits:
            self._control.allow(self.told + 1)
        epoch = None
        while epoch is None or (epoch.epoch == self._last and self.report is None):
            event = self._events.get()
            if isinstance(event, Exception):
                raise event
            if isinstance(event, dict):
                self.report = event
            elif event.epoch > self.told:
                epoch = event
                self.told = epoch.epoch
        return epoch

    def stop(self) -> None:
        """End the training, and wait for that."""
        self._control.stop()
        self._thread.join(STOPPING_S)


def start_file(output: str, exploited: Mapping[str, Any]) -> str:
    """Where a trial keeps the state of another one that it goes on from, as its ledger has it."""
    return storage.join(output, f"{exploited['trial']}-{exploited['epoch']}{START_SUFFIX}")
