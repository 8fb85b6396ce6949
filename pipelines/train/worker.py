"""What each worker of a training runs, under Ray Train."""

import io
import pickle
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray.train
import ray.train.torch
import torch

from pipelines import storage
from pipelines.lifters.checkpoint import save_lifter
from pipelines.train import checkpoints
from pipelines.train.checkpoints import STATE_FILE
from pipelines.train.data import DataPlan, load_data
from pipelines.train.loop import EpochReport, Training
from pipelines.train.mailbox import Orders
from pipelines.train.worker_group import WorkerGroup
from schemas.errors import RunFailed, UserError
from schemas.train import TrainConfig

# In each checkpoint: the model for use.
LIFTER_FILE = "lifter.pt"
# What checkpoints are ranked by, mm.
SELECTION = "selection_mm"
# Between two looks at whether to go on.
WAIT_S = 0.1


@dataclass(frozen=True)
class Started:
    """Said once by new workers.

    Attributes:
        history: The epochs that they continue.
    """

    history: list[EpochReport]


@dataclass(frozen=True)
class StepReport:
    """How far an epoch is."""

    epoch: int
    step: int
    steps: int
    frames_per_s: float


class _Stopped(Exception):
    """The driver wants the training to end before its last epoch."""


def train_worker(settings: dict[str, Any]) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Args:
        settings: `config`, `plan`, `card`, what `fit` adds, and `start`: the training state of another training (URI)
            to begin with, or None.
    """
    mailbox = settings["mailbox"]
    torch.set_num_threads(settings["threads"])
    context = ray.train.get_context()
    workers = WorkerGroup(ray.train.torch.get_device(), context.get_world_rank(), context.get_world_size())
    try:
        _train(settings, workers)
    except _Stopped:
        pass  # what the last checkpoint holds is the result
    # All workers meet the same one: not a fault of the cluster, for which Ray would try again.
    except (UserError, RunFailed) as error:
        if workers.leads:
            ray.get(mailbox.say.remote(error))


def _train(settings: dict[str, Any], workers: WorkerGroup) -> None:
    config: TrainConfig = settings["config"]
    plan: DataPlan = settings["plan"]
    training = Training(config, plan, load_data(config, plan, workers), workers)
    state = state_to_continue(settings["output"], workers, settings["start"])
    if state is not None:
        training.restore(state)

    def say(message: object | None) -> Orders:
        """What the driver wants now, as all workers are told alike."""
        orders = ray.get(settings["mailbox"].say.remote(message)) if workers.leads else None
        orders = workers.gather(orders)[0]
        if orders.stop:
            raise _Stopped
        return orders

    def on_step(step: int, steps: int, frames_per_s: float) -> None:
        say(StepReport(training.epochs_done + 1, step, steps, frames_per_s))

    # The driver may have missed some: it may be a new one.
    orders = say(Started(training.history))
    while training.epochs_done < config.optimization.epochs:
        while orders.epochs is not None and training.epochs_done >= orders.epochs:
            time.sleep(WAIT_S)
            orders = say(None)
        epoch = training.run_epoch(on_step)
        # Told before it is saved: the driver may want to know at once.
        with suppress(_Stopped):
            say(epoch)
        _save(training, epoch, settings, workers)
        orders = say(None)


def state_to_continue(output: str, workers: WorkerGroup, start: str | None = None) -> dict[str, Any] | None:
    """What the last checkpoint of this training holds, else what it begins with, if anything.

    Args:
        output: Folder of the training.
        workers: Those who all go on from the same.
        start: The state of another training (URI).

    Raises:
        UserError: It is damaged, or this worker's machine does not see the output.
    """
    if not storage.exists(output):
        raise UserError(
            f"output={output}: a worker's machine ({socket.gethostname()}) does not see this folder; "
            "give one that all machines share, or a bucket"
        )
    saved = checkpoints.find(output) if workers.leads else []
    where = workers.gather(saved[-1].file(STATE_FILE) if saved else start)[0]
    return None if where is None else read_state(storage.read_bytes(where), where, workers)


def read_state(data: bytes, where: str, workers: WorkerGroup) -> dict[str, Any]:
    """The training state in a file that a worker wrote.

    Raises:
        UserError: It is damaged.
    """
    try:
        return torch.load(io.BytesIO(data), map_location=workers.device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"{where}: the checkpoint is damaged; remove its folder, or give a new output") from error


def _save(training: Training, epoch: EpochReport, settings: dict[str, Any], workers: WorkerGroup) -> None:
    # The last epoch is the best where nothing is held out to tell.
    selection = epoch.validation.get("mpjpe_mm", -float(epoch.epoch))
    metrics = {"epoch": epoch.epoch, SELECTION: selection}
    if workers.leads:

        def write_lifter(folder: str) -> None:
            save_lifter(storage.join(folder, LIFTER_FILE), training.model, settings["card"])

        checkpoints.save(settings["output"], metrics, training.state(), write_lifter, settings["best"])
    ray.train.report(metrics)
