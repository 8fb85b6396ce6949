"""The train_aligner job: prepare (check the data), survey (what the output holds), execute (train what is missing)."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipelines import registry
from pipelines.io import json_documents, storage
from pipelines.io.manifest import REPORT, RunManifest, Settings
from pipelines.tracks import keypoint_reader
from pipelines.training.checkpoints import Best
from pipelines.training.job import TrainingWork, keep_models, survey_output
from pipelines.training.listener import TrainingListener
from schemas import __version__
from schemas.configs.train_aligner import TrainAlignerConfig
from schemas.earlier_versions import values_if_absent
from schemas.job_config import flatten

if TYPE_CHECKING:
    from pipelines.train_aligner.plan import AlignerPlan

FORMAT = "raylift.aligner_training/1"


@dataclass(frozen=True)
class TrainAlignerJob:
    """A training whose config and data have been checked.

    Attributes:
        config: The config.
        manifest: What the output says of it.
    """

    config: TrainAlignerConfig
    manifest: RunManifest

    @cached_property
    def plan(self) -> "AlignerPlan":
        """The recordings; a training that is finished needs no plan."""
        from pipelines.train_aligner.plan import plan_training

        return plan_training(self.config)


def prepare(config: TrainAlignerConfig) -> TrainAlignerJob:
    """Check the data of a training without writing anything.

    Raises:
        UserError: There are no two recordings of one action, or options do not fit together.
    """
    settings = flatten(config.model_dump(mode="json", exclude={"output", "resources"}))
    data = keypoint_reader.digest(keypoint_reader.tracks_files(config.tracks, "tracks"))
    known = values_if_absent(TrainAlignerConfig)
    known |= registry.options_if_absent(registry.ALIGNERS, config.network.name, "network")
    manifest = RunManifest(FORMAT, Settings(settings, known), data, may_grow=["optimization.epochs"])
    return TrainAlignerJob(config, manifest)


def survey(job: TrainAlignerJob) -> TrainingWork:
    """Find out what the output holds.

    Raises:
        UserError: The output holds a training with other settings or other data, or another job.
    """
    return survey_output(job.manifest, job.config.output, "tracks", job.config.optimization.epochs)


def execute(job: TrainAlignerJob, run_id: str, listener: TrainingListener) -> dict[str, Any]:
    """Train, from the last checkpoint if there is one; returns the report, also written to `report.json`.

    Args:
        job: The training.
        run_id: Its MLflow run, noted in the output.
        listener: Follows the progress.

    Raises:
        RunFailed: The training diverged, its workers died too often, or the output cannot be written.
        UserError: The data have a fault that only reading them shows, or the cluster lacks resources.
    """
    from pipelines.aligners.checkpoint import SUBJECTS, AlignerCard
    from pipelines.train_aligner.worker import ALIGNER_FILE, SELECTION, train_worker
    from pipelines.training.ray_train import fit

    config, plan = job.config, job.plan
    job.manifest.write(config.output, run_id)
    best = Best(SELECTION, "max")
    subjects = sorted({track.subject for group in plan.training.values() for track in group if track.subject})
    lineage = {"run_id": run_id, "data": job.manifest.data, SUBJECTS: json.dumps(subjects)}
    card = AlignerCard.of(config.network, pairs=config.data.pairs, lineage=lineage)
    settings = {"config": config, "plan": plan, "card": card}
    outcome = fit(train_worker, settings, config.output, config.resources, best, listener)
    kept = keep_models(config.output, best, ALIGNER_FILE)
    last = outcome.epochs[-1]
    report = {
        "format": FORMAT,
        "version": __version__,
        "output": config.output,
        "epochs": last.epoch,
        "best_epoch": int(kept["epoch"]),
        "best_kendalls_tau": kept[SELECTION] if plan.validation else None,
        "last": last.metrics(),
        "actions": len(plan.training),
        "recordings": {
            "training": sum(map(len, plan.training.values())),
            "validation": sum(map(len, plan.validation.values())),
            "left_out": plan.left_out,
        },
        "data": job.manifest.data,
    }
    if last.epoch == config.optimization.epochs:
        # The report is written last: its presence marks a finished training.
        json_documents.write(storage.join(config.output, REPORT), report)
    return report
