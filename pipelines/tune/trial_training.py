"""The training of a trial: the train job in a thread of its own, which reports epoch by epoch."""

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ray.exceptions import RayError

from pipelines.io import storage
from pipelines.sampling.sequences import Sequences
from pipelines.train import run
from pipelines.train.data import TrackSet
from pipelines.train.run import TrainJob
from pipelines.training.events import Control
from pipelines.training.failures import DeterministicFailure
from pipelines.training.in_process import fit_in_process
from pipelines.training.reports import EpochReport, StepReport
from pipelines.tune import trial_records
from pipelines.tune.shared_warmup import keep_warmup
from schemas.configs.tune import seconds
from schemas.errors import RunFailed, UserError

# Longest wait for a training to stop at its next step, s. One that hangs ends with this process.
LONGEST_STOP_S = 60


class TrialTraining:
    """Runs the training of a trial and listens to it (a `TrainingListener`).

    Args:
        job: The training.
        run_id: Its MLflow run.
        waits: Whether an epoch starts only when `next_epoch` asks for it.
        timeout: Longest time that it may take, such as 30m; None: any.
        warmup: Where the state after its warm-up is kept for all trials that begin like it; None if it is not.
        load: Reads a set of tracks in this process; None: as any training does.

    Attributes:
        last_epoch: The last epoch that `next_epoch` returned.
        source: What the training continues from, if from another trial: "003 after epoch 10".
        report: The report of the training, once its last epoch has ended.
    """

    def __init__(
        self,
        job: TrainJob,
        run_id: str,
        waits: bool,
        timeout: str | None = None,
        warmup: str | None = None,
        load: Callable[[TrackSet], Sequences] | None = None,
    ) -> None:
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + seconds(timeout)
        self.report: dict[str, Any] | None = None
        config = job.config
        exploited = trial_records.read_exploited(config.output)
        # Earlier epochs were the other trial's, and are not reported again.
        self.last_epoch: int = exploited["epoch"] if exploited else 0
        self.source = f"{exploited['trial']} after epoch {self.last_epoch}" if exploited else None
        start = trial_records.start_file(config.output, exploited) if exploited else None
        in_process = partial(fit_in_process, further={} if load is None else {"load": load})
        fit = None if config.resources.num_workers > 1 else in_process
        if warmup is not None:
            if storage.exists(warmup):
                start = warmup
            fit = partial(in_process, on_saved=keep_warmup(config, warmup))
        self._epochs, self._waits = config.optimization.epochs, waits
        self._control = Control(0 if waits else None)
        self._events: queue.SimpleQueue[EpochReport | dict[str, Any] | Exception] = queue.SimpleQueue()

        def train() -> None:
            try:
                self._events.put(run.execute(job, run_id, self, start=start, control=self._control, fit=fit))
            except Exception as error:
                self._events.put(error)

        self._thread = threading.Thread(target=train, name="training", daemon=True)
        self._thread.start()

    def started(self, epochs_done: int) -> None:
        """Workers have started; nothing to report."""

    def step(self, report: StepReport) -> None:
        """A step has ended; only whole epochs are reported to Tune."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch has ended, now or before the training was interrupted."""
        self._events.put(report)

    def next_epoch(self) -> EpochReport:
        """Wait for the next epoch; after the last one, also for the end of the training.

        Raises:
            Exception: The training failed, or takes too long.
        """
        if self._waits:
            self._control.allow(self.last_epoch + 1)
        epoch = None
        while epoch is None or (epoch.epoch == self._epochs and self.report is None):
            event = self._next_event()
            if isinstance(event, Exception):
                raise event
            if isinstance(event, dict):
                self.report = event
            elif event.epoch > self.last_epoch:
                epoch = event
                self.last_epoch = epoch.epoch
        return epoch

    def _next_event(self) -> EpochReport | dict[str, Any] | Exception:
        left_s = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        try:
            return self._events.get(timeout=left_s)
        except queue.Empty:
            raise UserError(f"trial_timeout={self._timeout}: took longer, after epoch {self.last_epoch}") from None

    def stop(self) -> bool:
        """Stop the training and wait for its end; returns whether it has ended."""
        self._control.stop()
        self._thread.join(LONGEST_STOP_S)
        return not self._thread.is_alive()


def why_hopeless(error: Exception) -> str | None:
    """Why a trial would fail again with the same values; None if a process, a machine or the storage failed."""
    if isinstance(error, UserError | DeterministicFailure):
        return str(error)
    if isinstance(error, RunFailed | RayError):
        return None
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
