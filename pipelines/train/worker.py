"""What each worker of a training runs, under Ray Train."""

import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
from ray.util.queue import Queue

from pipelines.lifters.checkpoint import LifterCard, save_lifter
from pipelines.train.data import DataPlan, load_data
from pipelines.train.loop import EpochReport, Training
from pipelines.train.worker_group import WorkerGroup
from schemas.errors import RunFailed, UserError
from schemas.train import TrainConfig

# In each checkpoint: the model for use, and everything that resuming needs.
LIFTER_FILE = "lifter.pt"
STATE_FILE = "training.pt"
# What checkpoints are ranked by, mm.
SELECTION = "selection_mm"


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


def train_worker(settings: dict[str, Any]) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Args:
        settings: `config`, `plan`, `card`, `threads` and the `queue` to the driver.
    """
    config, plan, queue = settings["config"], settings["plan"], settings["queue"]
    torch.set_num_threads(settings["threads"])
    context = ray.train.get_context()
    workers = WorkerGroup(ray.train.torch.get_device(), context.get_world_rank(), context.get_world_size())
    try:
        _train(config, plan, settings["card"], workers, queue)
    # All workers meet the same one: not a fault of the cluster, for which Ray would try again.
    except (UserError, RunFailed) as error:
        if workers.leads:
            queue.put(error)


def _train(config: TrainConfig, plan: DataPlan, card: LifterCard, workers: WorkerGroup, queue: Queue) -> None:
    training = Training(config, plan, load_data(config, plan, workers), workers)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            training.restore(_read_state(Path(folder, STATE_FILE), checkpoint.path, workers))
    if workers.leads:
        # The driver may have missed some: it may be a new one.
        queue.put(Started(training.history))

    def on_step(step: int, steps: int, frames_per_s: float) -> None:
        if workers.leads:
            queue.put(StepReport(training.epochs_done + 1, step, steps, frames_per_s))

    while training.epochs_done < config.optimization.epochs:
        epoch = training.run_epoch(on_step)
        if workers.leads:
            queue.put(epoch)
        _report(training, epoch, card, workers)


def _read_state(file: Path, where: str, workers: WorkerGroup) -> dict[str, Any]:
    try:
        return torch.load(file, map_location=workers.device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(
            f"{where}/{STATE_FILE}: the checkpoint is damaged; remove its folder, or give a new output"
        ) from error


def _report(training: Training, epoch: EpochReport, card: LifterCard, workers: WorkerGroup) -> None:
    # The last epoch is the best where nothing is held out to tell.
    selection = epoch.validation.get("mpjpe_mm", -float(epoch.epoch))
    metrics = {"epoch": epoch.epoch, SELECTION: selection}
    if not workers.leads:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.save(training.state(), Path(folder, STATE_FILE))
        save_lifter(str(Path(folder, LIFTER_FILE)), training.model, card)
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))
