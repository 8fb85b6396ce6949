"""What each worker of a detector's training runs, under Ray Train."""

from dataclasses import dataclass
from typing import Any

import cv2
import ray.train
import ray.train.torch
import torch

from pipelines.detectors.card import save_detector
from pipelines.io import storage
from pipelines.train_detector.batches import Batches
from pipelines.train_detector.crop_cache import CanvasSet
from pipelines.train_detector.loop import DetectorData, DetectorTraining
from pipelines.train_detector.plan import NetPlan
from pipelines.train_detector.scores import selection
from pipelines.training import checkpoints
from pipelines.training.reports import EpochReport, Started, StepReport
from pipelines.training.resume import state_to_continue
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.errors import RunFailed, UserError

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
        settings: `config`, `net`, `files`, `card`, and what `fit` adds.
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
    state = state_to_continue(settings["output"], workers)
    if state is None:
        training.begin()
    else:
        training.restore(state)

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
        _save(training, epoch, settings, workers)


def _data(files: Files, net: NetPlan, workers: WorkerGroup, threads: int) -> DetectorData:
    training, validation = (
        Batches(CanvasSet(uris, net.shape), workers, threads) if uris else None
        for uris in (files.training, files.validation)
    )
    assert training is not None
    return DetectorData(training, validation)


def _save(training: DetectorTraining, epoch: EpochReport, settings: dict[str, Any], workers: WorkerGroup) -> None:
    chosen = selection(epoch.validation)
    # The last epoch is the best where nobody is held out to tell.
    metrics = {"epoch": epoch.epoch, SELECTION: float(epoch.epoch) if chosen is None else chosen}
    if workers.leads:

        def write_detector(folder: str) -> None:
            save_detector(storage.join(folder, DETECTOR_FILE), training.network, settings["card"])

        checkpoints.save(settings["output"], metrics, training.state(), write_detector, settings["best"])
    ray.train.report(metrics)
