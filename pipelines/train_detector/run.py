"""Training of a detector from start to end: what was begun is continued, what is done stays."""

from collections.abc import Sequence
from typing import Any, Protocol

from pipelines.detectors.card import DetectorCard
from pipelines.io import json_documents, storage
from pipelines.io.manifest import ExistingRun, RunManifest
from pipelines.ray_cluster import session
from pipelines.train_detector.crop_cache import CutSummary
from pipelines.train_detector.fill_crop_cache import cut_people
from pipelines.train_detector.plan import DetectorPlan, canvas_file, training_order
from pipelines.train_detector.scores import selection
from pipelines.train_detector.worker import DETECTOR_FILE, SELECTION, Files, train_detector_worker
from pipelines.training import checkpoints
from pipelines.training.checkpoints import Best
from pipelines.training.events import Heard, Listener
from pipelines.training.ray_train import best_and_last, fit, scale
from pipelines.training.reports import EpochReport
from schemas import __version__
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.errors import UserError
from schemas.job_config import flatten

FORMAT = "raylift.detector_training/1"
# What checkpoints are ranked by.
BEST = Best(SELECTION, "max")
# Unreadable images that the report names.
MOST_NAMED = 100


class DetectorListener(Listener, Protocol):
    """Who hears of a training's progress."""

    def cut(self, done: int, total: int) -> None:
        """Heard while people are cut out of so many images."""
        ...


def look_up(config: TrainDetectorConfig, plan: DetectorPlan) -> ExistingRun | None:
    """What the output holds; None if it is new.

    Raises:
        UserError: It holds a training with other settings, or of other data, or another job.
    """
    return _manifest(config, plan).existing_run(config.output, "people, or the weights to begin with,")


def begin(config: TrainDetectorConfig, plan: DetectorPlan, run_id: str) -> None:
    """Note in the output which training it holds."""
    _manifest(config, plan).write(config.output, run_id)


def execute(config: TrainDetectorConfig, plan: DetectorPlan, run_id: str, listener: DetectorListener) -> dict[str, Any]:
    """Train, from the last checkpoint on if there is one; returns the report, also written to `report.json`.

    Args:
        config: The job.
        plan: Its people and net.
        run_id: Goes into the detector's lineage.
        listener: Hears how it goes.

    Raises:
        RunFailed: The training diverged, its workers died too often, or the output cannot be written.
        UserError: Images are missing, or what only looking at people shows; resources that are not there.
    """
    # Resources that are not there are told before everybody is cut out, not after.
    session.connect()
    scale(config.resources)
    # Once a net has learned from some people, others would change what resuming gives.
    retry = not checkpoints.find(config.output)
    cut = cut_people(config.output, plan, config.max_failed, retry, listener.cut)
    files = Files(
        *(tuple(canvas_file(config.output, p, plan.net) for p in s) for s in (plan.training, plan.validation))
    )
    people = {name: sum(cut[file].people for file in part) for name, part in vars(files).items()}
    if not people["training"]:
        raise UserError("data: nobody is in the images that can be read; repair them, or give others")
    training_order(config, people["training"])  # or it would be told by a worker, much later
    settings = {"config": config, "net": plan.net, "files": files, "card": _card(plan, run_id)}
    heard = fit(train_detector_worker, settings, config.output, config.resources, BEST, listener)
    return _finish(config, plan, people, list(cut.values()), heard)


def metrics_of(report: EpochReport) -> dict[str, Any]:
    """All numbers of an epoch, nested; what other trainings count as frames are people here."""
    found = report.metrics()
    return {("people_per_s" if name == "frames_per_s" else name): value for name, value in found.items()}


def _manifest(config: TrainDetectorConfig, plan: DetectorPlan) -> RunManifest:
    # Who computes may change between a training's parts, where it lies may too.
    settings = flatten(config.model_dump(mode="json", exclude={"output", "resources", "max_failed"}))
    return RunManifest(FORMAT, settings, plan.digest)


def _card(plan: DetectorPlan, run_id: str) -> DetectorCard:
    lineage = {"run_id": run_id, "data": plan.digest}
    if plan.start is not None:
        lineage |= {"weights": plan.start.uri, "weights_sha256": plan.start.sha256}
    return DetectorCard(
        detector="hrnet",
        channels=plan.net.channels,
        layout=plan.layout.name,
        input_size=plan.net.input_size,
        sigma=plan.net.sigma,
        lineage=lineage,
    )


def _finish(
    config: TrainDetectorConfig,
    plan: DetectorPlan,
    people: dict[str, int],
    cut: Sequence[CutSummary],
    heard: Heard,
) -> dict[str, Any]:
    best_metrics, files = best_and_last(config.output, BEST, DETECTOR_FILE)
    for name, data in files.items():
        storage.write_bytes(storage.join(config.output, name), data)
    unreadable = [one for summary in cut for one in summary.unreadable]
    best = heard.epochs[int(best_metrics["epoch"]) - 1]
    report = {
        "format": FORMAT,
        "version": __version__,
        "output": config.output,
        "epochs": heard.epochs[-1].epoch,
        "best_epoch": best.epoch,
        "best": best.validation,
        "selected_by": None if selection(best.validation) is None else "ap" if "ap" in best.validation else "pckh",
        "last": metrics_of(heard.epochs[-1]),
        "people": people,
        "unreadable": len(unreadable),
        "unreadable_images": [[one.name, one.reason] for one in unreadable[:MOST_NAMED]],
        "layout": plan.layout.name,
        "channels": plan.net.channels,
        "input_size": plan.net.input_size,
        "sigma": plan.net.sigma,
        "weights": config.weights,
        "fresh_head": plan.fresh_head,
        "data": plan.digest,
    }
    json_documents.write(storage.join(config.output, "report.json"), report)
    return report
