"""What each worker of a detector's training runs, under Ray Train."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import ray.train
import ray.train.torch
import torch

from pipelines.detectors.card import DetectorCard, save_detector
from pipelines.train.loop import EpochReport
from pipelines.train.worker import STATE_FILE, Started, StepReport, read_state
from pipelines.train.worker_group import WorkerGroup
from pipelines.train_detector.batches import Batches
from pipelines.train_detector.canvases import CanvasSet
from pipelines.train_detector.loop import DetectorData, DetectorTraining
from pipelines.train_detector.plan import NetPlan
from pipelines.train_detector.scores import selection
from schemas.errors import RunFailed, UserError
from schemas.train_detector import TrainDetectorConfig

# In each checkpoint: the detector for use, beside everything that resuming needs.
DETECTOR_FILE = "detector.pt"
# What checkpoints are ranked by: AP or PCKh.
SELECTION = "selection"


@dataclass(frozen=True)
class Files:
    """Canvases (URIs) of the people to learn from and of those held out."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


def train_detector_worker(settings: dict[str, Any]) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Args:
        settings: `config`, `net`, `files`, `card`, `threads` and the `mailbox` of the driver.
    """
    torch.set_num_threads(settings["threads"])
    # Crops and JPEGs are smaller than what starting a thread for them costs.
    cv2.setNumThreads(1)
    # All batches are of one shape: the search for the fastest filters pays.
    torch.backends.cudnn.benchmark = True
    context = ray.train.get_context()
    workers = WorkerGroup(ray.train.torch.get_device(), context.get_world_rank(), context.get_world_size())
    try:
        _train(settings, workers)
    # All workers meet the same one: not a fault of the cluster, for which Ray would try again.
    except (UserError, RunFailed) as error:
        if workers.leads:
            ray.get(settings["mailbox"].say.remote(error))


def _train(settings: dict[str, Any], workers: WorkerGroup) -> None:
    config: TrainDetectorConfig = settings["config"]
    net: NetPlan = settings["net"]
    training = DetectorTraining(config, net, _data(settings["files"], net, workers, settings["threads"]), workers)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        training.begin()
    else:
        with checkpoint.as_directory() as folder:
            data = Path(folder, STATE_FILE).read_bytes()
        training.restore(read_state(data, f"{checkpoint.path}/{STATE_FILE}", workers))

    def say(message: object) -> None:
        if workers.leads:
            ray.get(settings["mailbox"].say.remote(message))

    # The driver may have missed some: it may be a new one.
    say(Started(training.history))
    while training.epochs_done < config.optimization.epochs:
        epoch = training.run_epoch(
            lambda step, steps, rate: say(StepReport(training.epochs_done + 1, step, steps, rate))
        )
        say(epoch)
        _report(training, epoch, settings["card"], workers)


def _data(files: Files, net: NetPlan, workers: WorkerGroup, threads: int) -> DetectorData:
    training, validation = (
        Batches(CanvasSet(uris, net.shape), workers, threads) if uris else None
        for uris in (files.training, files.validation)
    )
    assert training is not None
    return DetectorData(training, validation)


def _report(training: DetectorTraining, epoch: EpochReport, card: DetectorCard, workers: WorkerGroup) -> None:
    chosen = selection(epoch.validation)
    # The last epoch is the best where nobody is held out to tell.
    metrics = {"epoch": epoch.epoch, SELECTION: float(epoch.epoch) if chosen is None else chosen}
    if not workers.leads:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.save(training.state(), Path(folder, STATE_FILE))
        save_detector(str(Path(folder, DETECTOR_FILE)), training.network, card)
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))
