"""The main function of a training's workers: epochs, reports to the driver, a checkpoint after each epoch."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist

from pipelines.io.gpus import begin_on, settle_order
from pipelines.io.unknown_origin import STUMBLES
from pipelines.training import checkpoints
from pipelines.training.channel import Instructions
from pipelines.training.checkpoints import Best
from pipelines.training.failures import to_deterministic
from pipelines.training.link import Link
from pipelines.training.reports import EpochReport, OnStep, Started, StepReport
from pipelines.training.resume import state_to_continue
from pipelines.training.worker_group import WorkerGroup
from schemas.errors import RunFailed, UserError

log = logging.getLogger(__name__)
# A worker that waits for permission to continue asks for it at this interval, s.
WAIT_S = 0.1
# At most this many letters of PyTorch's reasons are shown, because they may name every weight of a network.
_MOST_LETTERS = 200


class EpochTraining(Protocol):
    """A model in training, with all that changes while it trains.

    Attributes:
        history: The finished epochs.
    """

    history: list[EpochReport]

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from what `state` returned; None: begin anew."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs."""
        ...

    def run_epoch(self, on_step: OnStep) -> EpochReport:
        """Train for one epoch and append its report to the history."""
        ...


T = TypeVar("T", bound=EpochTraining)


class _Stopped(Exception):
    """The driver has ended the training before its last epoch."""


def run_worker(
    settings: dict[str, Any],
    epochs: int,
    make: Callable[[WorkerGroup], T],
    write_model: Callable[[T, str], None],
    score: Callable[[EpochReport], float],
) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Args:
        settings: What `fit` passes to a worker.
        epochs: Epochs of the whole training.
        make: Builds the training for a worker.
        write_model: Writes the model for use into a checkpoint's folder.
        score: The number by which checkpoints are ranked.
    """
    torch.set_num_threads(settings["threads"])
    settle_order(settings["deterministic"])
    link: Link = settings["link"]
    workers = link.workers()
    try:
        begin_on(workers.device)
        _send(link, None, workers)  # if earlier workers have failed, these have nothing to do
        with link.beating(workers.rank):
            _train(settings, epochs, make(workers), write_model, score, workers)
    except _Stopped:
        pass  # the last checkpoint is the result
    except Exception as error:
        if workers.size > 1 and not dist.is_initialized():
            # Ray has taken the group of workers apart, to move them from a machine that is about to be taken away.
            raise
        failure = _expected(error)
        if failure is None:
            raise
        # Ray must not try again as after a fault of the cluster, so the failure is sent to the driver as a message.
        link.send(failure)
        if workers.size > 1:
            raise  # the others may wait for this worker until Ray replaces all of them


def _train(
    settings: dict[str, Any],
    epochs: int,
    training: T,
    write_model: Callable[[T, str], None],
    score: Callable[[EpochReport], float],
    workers: WorkerGroup,
) -> None:
    _restore(training, settings["output"], state_to_continue(settings["output"], workers, settings["start"]))

    send = partial(_send, settings["link"], workers=workers)

    def on_step(step: int, steps: int, per_second: float) -> None:
        send(StepReport(len(training.history) + 1, step, steps, per_second))

    # The whole history is sent, because the driver may be a new one.
    instructions = send(Started(training.history))
    while len(training.history) < epochs:
        while instructions.epochs is not None and len(training.history) >= instructions.epochs:
            time.sleep(WAIT_S)
            instructions = send(None)
        report = training.run_epoch(on_step)
        # The report is sent before the checkpoint is written, so that the driver does not wait for that.
        with suppress(_Stopped):
            send(report)
        _save(settings, training, report, write_model, score, workers)
        instructions = send(None)


def _restore(training: EpochTraining, output: str, state: dict[str, Any] | None) -> None:
    """Continue from a state; `None`: begin anew.

    Raises:
        UserError: The state belongs to another network, for example one of another version.
    """
    try:
        training.restore(state)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, *STUMBLES) as error:
        if state is None:
            raise
        reason = " ".join(str(error).split())[:_MOST_LETTERS]
        raise UserError(
            f"output={output}: its checkpoints are not of this training's network ({reason}); give another output to "
            "begin anew, or continue with the version that wrote them"
        ) from error


def _send(link: Link, message: object | None, workers: WorkerGroup) -> Instructions:
    """Send a message as one worker; returns the driver's instructions, the same for all workers.

    Raises:
        _Stopped: The driver tells the workers to stop.
    """
    instructions = link.send(message) if workers.leads else None
    instructions = workers.gather(instructions)[0]
    if instructions.stop:
        raise _Stopped
    return instructions


def _save(
    settings: dict[str, Any],
    training: T,
    report: EpochReport,
    write_model: Callable[[T, str], None],
    score: Callable[[EpochReport], float],
    workers: WorkerGroup,
) -> None:
    best: Best = settings["best"]
    metrics = {"epoch": report.epoch, best.metric: score(report)}
    failure: Exception | None = None
    if workers.leads:
        try:
            checkpoints.save(
                settings["output"], metrics, training.state(), lambda folder: write_model(training, folder), best
            )
        except Exception as error:
            failure = _expected(error)
            if failure is None:
                raise
    # The others would wait for a worker that has failed to report.
    failure = workers.gather(failure)[0]
    if failure is not None:
        raise failure
    settings["link"].epoch_saved(metrics)


def _expected(error: Exception) -> UserError | RunFailed | None:
    """What an exception means to the user; None if another process or machine was lost."""
    if isinstance(error, UserError | RunFailed):
        return error
    failure = to_deterministic(error)
    if failure is not None:
        log.exception("the training failed", exc_info=error)
    return failure
