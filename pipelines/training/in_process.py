"""Runs a training's only worker in the process that asks for it, which has reserved what the worker needs.

Ray Train starts two further processes for each training, which load PyTorch and Ray before the first epoch. Trials of a
search follow each other in one process, where that is loaded once.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any

import torch

from pipelines.io import storage
from pipelines.training.channel import Instructions
from pipelines.training.checkpoints import Best
from pipelines.training.events import Control, Outcome
from pipelines.training.listener import TrainingListener
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.resources import ResourcesConfig
from schemas.errors import RunFailed, UserError


class InProcessLink:
    """The link of a worker that is in the same process as its job.

    Args:
        resources: What the worker may use.
        listener: Follows the progress.
        control: May end the training early.
        on_saved: Called with each epoch whose checkpoint is written.

    Attributes:
        outcome: What the worker has reported so far.
    """

    def __init__(
        self,
        resources: ResourcesConfig,
        listener: TrainingListener,
        control: Control,
        on_saved: Callable[[int], None],
    ) -> None:
        self._device = torch.device("cuda" if resources.use_gpu else "cpu")
        self._listener, self._control, self._on_saved = listener, control, on_saved
        self.outcome = Outcome()

    def workers(self) -> WorkerGroup:
        """A group of one."""
        return WorkerGroup(self._device)

    def send(self, message: object | None) -> Instructions:
        """Give the listener what the message reports; returns the job's instructions."""
        if message is not None:
            self.outcome.take(message, self._listener)
        return self._control.instructions

    def beating(self, rank: int) -> AbstractContextManager[None]:
        """Nobody waits for the only worker."""
        return nullcontext()

    def epoch_saved(self, metrics: Mapping[str, Any]) -> None:
        """Inform the listener; no other worker waits for the checkpoint."""
        self._on_saved(metrics["epoch"])


def fit_in_process(
    worker: Callable[[dict[str, Any]], None],
    settings: Mapping[str, Any],
    output: str,
    resources: ResourcesConfig,
    best: Best,
    listener: TrainingListener,
    *,
    start: str | None = None,
    control: Control | None = None,
    on_saved: Callable[[int], None] = lambda epoch: None,
    further: Mapping[str, Any] = MappingProxyType({}),
) -> Outcome:
    """Run a training of one worker to the end, from the output's last checkpoint if there is one.

    Takes what `ray_train.fit` takes and returns the same. Where the process is lost, nobody replaces it. `on_saved` is
    called with each epoch whose checkpoint is written, before the next one begins. `further` settings may be objects of
    this process.

    Raises:
        RunFailed: The training failed; the message says why.
        UserError: The worker found a mistake that only it can see.
    """
    link = InProcessLink(resources, listener, control or Control(), on_saved)
    threads = max(1, int(resources.cpus_per_worker or 1))
    shared = {"threads": threads, "link": link, "output": storage.absolute(output), "best": best, "start": start}
    shared["deterministic"] = resources.deterministic
    try:
        worker({**settings, **further, **shared})
    except (UserError, RunFailed):
        raise
    except Exception as error:  # an error that `run_worker` raises may not occur at another try
        raise RunFailed(f"training: {' '.join(str(error).split()) or type(error).__name__}") from error
    finally:
        if resources.use_gpu:
            torch.cuda.empty_cache()  # the process lives on, and others may share the GPU
    if link.outcome.failure is not None:
        raise link.outcome.failure
    return link.outcome
