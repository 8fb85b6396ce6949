"""What each worker of a training runs, under Ray Train."""

import time
from contextlib import suppress
from typing import Any

import ray.train
import ray.train.torch
import torch

from pipelines.io import storage
from pipelines.lifters.checkpoint import save_lifter
from pipelines.train.data import DataPlan, load_data
from pipelines.train.loop import Training
from pipelines.training import checkpoints
from pipelines.training.channel import Orders
from pipelines.training.reports import EpochReport, Started, StepReport
from pipelines.training.resume import state_to_continue
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig
from schemas.errors import RunFailed, UserError

# In each checkpoint: the model for use.
LIFTER_FILE = "lifter.pt"
# What checkpoints are ranked by, mm.
SELECTION = "selection_mm"
# Between two looks at whether to go on.
WAIT_S = 0.1


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


def _save(training: Training, epoch: EpochReport, settings: dict[str, Any], workers: WorkerGroup) -> None:
    # The last epoch is the best where nothing is held out to tell.
    selection = epoch.validation.get("mpjpe_mm", -float(epoch.epoch))
    metrics = {"epoch": epoch.epoch, SELECTION: selection}
    if workers.leads:

        def write_lifter(folder: str) -> None:
            save_lifter(storage.join(folder, LIFTER_FILE), training.model, settings["card"])

        checkpoints.save(settings["output"], metrics, training.state(), write_lifter, settings["best"])
    ray.train.report(metrics)
