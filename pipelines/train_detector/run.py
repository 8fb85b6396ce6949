"""The train_detector job: prepare (check the data), survey (what the output holds), execute (train what is missing).

People are cut out of their images before the training starts, one Ray task for each part of the data. Ray and PyTorch
are loaded by `execute`, because a job with nothing to do needs neither.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pipelines import registry
from pipelines.io import json_documents, storage
from pipelines.io.manifest import RunManifest, Settings
from pipelines.train_detector.plan import CropFiles, DetectorPlan, crop_files, plan_training, training_order
from pipelines.training import checkpoints
from pipelines.training.checkpoints import Best
from pipelines.training.job import TrainingWork, keep_models, survey_output
from pipelines.training.listener import TrainingListener
from schemas import __version__
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.earlier_versions import values_if_absent
from schemas.errors import UserError
from schemas.job_config import flatten

if TYPE_CHECKING:
    from pipelines.detectors.card import DetectorCard
    from pipelines.train_detector.crop_cache import CutSummary
    from pipelines.training.events import Outcome

FORMAT = "raylift.detector_training/1"
# The report names at most this many unreadable images.
MOST_NAMED = 100


class DetectorListener(TrainingListener, Protocol):
    """Follows the progress of a detector's training."""

    def cut(self, done: int, total: int) -> None:
        """Called while people are cut out of their images, with the number of images done."""
        ...


@dataclass(frozen=True)
class TrainDetectorJob:
    """A detector's training whose config and data have been checked.

    Attributes:
        config: The config.
        plan: The people and the network.
        files: Where people are kept once they are cut out of their images.
        manifest: What the output says of it.
    """

    config: TrainDetectorConfig
    plan: DetectorPlan
    files: CropFiles
    manifest: RunManifest


def prepare(config: TrainDetectorConfig) -> TrainDetectorJob:
    """Check the data of a training without writing anything.

    Raises:
        UserError: People or initial weights do not fit together or with the config.
    """
    plan = plan_training(config)
    # A training may continue with other workers and at another address, so these are no settings.
    settings = flatten(config.model_dump(mode="json", exclude={"output", "resources", "max_failed"}))
    known = values_if_absent(TrainDetectorConfig)
    for field, people in (("data", config.data), ("validation", config.validation)):
        if people is not None:
            known |= registry.options_if_absent(registry.PEOPLE_SOURCES, people.name, field)
    manifest = RunManifest(FORMAT, Settings(settings, known), plan.digest)
    return TrainDetectorJob(config, plan, crop_files(config.output, plan), manifest)


def survey(job: TrainDetectorJob) -> TrainingWork:
    """Find out what the output holds.

    Raises:
        UserError: The output holds a training with other settings or other data, or another job.
    """
    data = "people, or the weights to begin with,"
    return survey_output(job.manifest, job.config.output, data, job.config.optimization.epochs)


def execute(
    job: TrainDetectorJob, run_id: str, listener: DetectorListener, *, fit: "Callable[..., Outcome] | None" = None
) -> dict[str, Any]:
    """Train, from the last checkpoint if there is one; returns the report, also written to `report.json`.

    Args:
        job: The training.
        run_id: Its MLflow run, noted in the output and in the detector's lineage.
        listener: Follows the progress.
        fit: Runs the workers, as `ray_train.fit` does, which is the default.

    Raises:
        RunFailed: The training diverged, its workers died too often, or the output cannot be written.
        UserError: Images are missing or have a fault that only reading them shows, or the cluster lacks
            resources.
    """
    from pipelines.ray_cluster import session
    from pipelines.train_detector.fill_crop_cache import cut_people
    from pipelines.train_detector.worker import DETECTOR_FILE, SELECTION, train_detector_worker
    from pipelines.training import ray_train

    config, plan = job.config, job.plan
    job.manifest.write(config.output, run_id)
    # Missing resources are reported before people are cut out, because that takes long.
    session.connect()
    ray_train.scale(config.resources)
    # Images that could not be read are tried again only until the first checkpoint. After that, more people would
    # change the data that the training continues with.
    retry = not checkpoints.find(config.output)
    summaries = cut_people(plan, job.files, config.max_failed, retry, listener.cut)
    people = {part: sum(summaries[file].people for file in files) for part, files in vars(job.files).items()}
    if not people["training"]:
        raise UserError("data: nobody is in the images that can be read; repair them, or give others")
    training_order(config, people["training"])  # raises an error here rather than, much later, in a worker
    settings = {"config": config, "net": plan.net, "files": job.files, "card": _card(plan, run_id)}
    ranking = Best(SELECTION, "max")
    outcome = (fit or ray_train.fit)(
        train_detector_worker, settings, config.output, config.resources, ranking, listener
    )
    best = keep_models(config.output, ranking, DETECTOR_FILE)
    report = _report(job, people, summaries, outcome, int(best["epoch"]))
    # The report is written last: its presence marks a finished training.
    json_documents.write(storage.join(config.output, "report.json"), report)
    return report


def _card(plan: DetectorPlan, run_id: str) -> "DetectorCard":
    from pipelines.annotations.people.images import ImagesPart
    from pipelines.detectors.card import ANNOTATIONS, DetectorCard

    trained_on = {part.annotations_sha256 for part in plan.training if isinstance(part, ImagesPart)}
    if plan.start is not None and plan.start.card is not None:
        trained_on |= set(plan.start.card.annotations)
    lineage = {"run_id": run_id, "data": plan.digest, ANNOTATIONS: json.dumps(sorted(trained_on))}
    if plan.start is not None:
        lineage |= {"weights": plan.start.uri, "weights_sha256": plan.start.sha256}
    return DetectorCard(
        detector=plan.net.detector,
        channels=plan.net.channels,
        vitpose=plan.net.vitpose,
        layout=plan.layout.name,
        input_size=plan.net.input_size,
        sigma=plan.net.sigma,
        lineage=lineage,
    )


def _report(
    job: TrainDetectorJob,
    people: Mapping[str, int],
    summaries: "Mapping[str, CutSummary]",
    outcome: "Outcome",
    best_epoch: int,
) -> dict[str, Any]:
    from pipelines.train_detector.scores import selection

    config, plan = job.config, job.plan
    unreadable = [image for summary in summaries.values() for image in summary.unreadable]
    best, last = outcome.epochs[best_epoch - 1], outcome.epochs[-1]
    return {
        "format": FORMAT,
        "version": __version__,
        "output": config.output,
        "epochs": last.epoch,
        "best_epoch": best.epoch,
        "best": best.validation,
        "selected_by": None if selection(best.validation) is None else "ap" if "ap" in best.validation else "pckh",
        "last": last.metrics(),
        "people": people,
        "unreadable": len(unreadable),
        "unreadable_images": [[image.name, image.reason] for image in unreadable[:MOST_NAMED]],
        "layout": plan.layout.name,
        "detector": plan.net.detector,
        "channels": plan.net.channels,
        "input_size": plan.net.input_size,
        "sigma": plan.net.sigma,
        "weights": config.weights,
        "fresh_head": plan.fresh_head,
        "data": plan.digest,
    }
