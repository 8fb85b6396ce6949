"""The worker of a detector's training: `pipelines.training.worker` with the parts that belong to detectors."""

from typing import Any

import cv2
import torch

from pipelines.detectors.card import DetectorCard, save_detector
from pipelines.io import storage
from pipelines.train_detector.batches import Batches
from pipelines.train_detector.crop_cache import CanvasSet
from pipelines.train_detector.loop import DetectorData, DetectorTraining
from pipelines.train_detector.plan import CropFiles, NetPlan
from pipelines.train_detector.scores import selection
from pipelines.training.reports import EpochReport
from pipelines.training.worker import run_worker
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import TrainDetectorConfig

# The file in each checkpoint with the detector for use.
DETECTOR_FILE = "detector.pt"
# The name of the number that checkpoints are ranked by: AP or PCKh.
SELECTION = "selection"


def train_detector_worker(settings: dict[str, Any]) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Args:
        settings: `config`, `net`, `files` and `card`, and what `fit` adds.
    """
    config: TrainDetectorConfig = settings["config"]
    net: NetPlan = settings["net"]
    card: DetectorCard = settings["card"]
    # Starting a thread would take longer than the work on a crop or a small JPEG.
    cv2.setNumThreads(1)
    # All batches have the same shape, so searching for the fastest algorithm pays off.
    torch.backends.cudnn.benchmark = True

    def make(workers: WorkerGroup) -> DetectorTraining:
        return DetectorTraining(config, net, _data(settings["files"], net, workers, settings["threads"]), workers)

    def write_model(training: DetectorTraining, folder: str) -> None:
        save_detector(storage.join(folder, DETECTOR_FILE), training.network, card)

    run_worker(settings, config.optimization.epochs, make, write_model, score)


def score(report: EpochReport) -> float:
    """The number by which checkpoints are ranked; without held-out people the last epoch is the best."""
    selected = selection(report.validation)
    return float(report.epoch) if selected is None else selected


def _data(files: CropFiles, net: NetPlan, workers: WorkerGroup, threads: int) -> DetectorData:
    training, validation = (
        Batches(CanvasSet(uris, net.shape), workers, threads, net.udp) if uris else None
        for uris in (files.training, files.validation)
    )
    assert training is not None
    return DetectorData(training, validation)
