"""The train job: prepare (check the data), survey (what the output holds), execute (train what is missing).

PyTorch and Ray are loaded only if something is missing, because loading them takes longer than finding that out.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipelines import registry
from pipelines.io import json_documents, storage
from pipelines.io.manifest import RunManifest, Settings
from pipelines.tracks import keypoint_reader
from pipelines.training.checkpoints import Best
from pipelines.training.job import TrainingWork, keep_models, survey_output
from pipelines.training.listener import TrainingListener
from schemas import __version__
from schemas.configs.train import TrainConfig, TrainingConfig
from schemas.earlier_versions import values_if_absent
from schemas.errors import UserError
from schemas.job_config import flatten

if TYPE_CHECKING:
    from pipelines.lifters.checkpoint import LifterCard
    from pipelines.train.initial_weights import Start
    from pipelines.train.plan import TrainingPlan
    from pipelines.train.track_choice import SurveyedTracks
    from pipelines.training.events import Control, Outcome

FORMAT = "raylift.training/1"


@dataclass(frozen=True)
class TrainJob:
    """A training whose config and data have been checked.

    Attributes:
        config: The config; of a lifter to start from it has what was not given.
        manifest: What the output says of it.
        start: The lifter to start from; None: fresh weights.
        tracks: All tracks that it may choose from; None: they are read when the plan is made.
    """

    config: TrainConfig
    manifest: RunManifest
    start: "Start | None" = None
    tracks: "SurveyedTracks | None" = None

    @cached_property
    def plan(self) -> "TrainingPlan":
        """The tracks, and what follows from them; a training that is finished needs no plan."""
        from pipelines.train.plan import plan_training

        return plan_training(self.config, self.start, self.tracks)


def prepare(config: TrainConfig, tracks: "SurveyedTracks | None" = None) -> TrainJob:
    """Check the data of a training without writing anything.

    Args:
        config: The config.
        tracks: What is known of its tracks from an earlier training; None: their files' metadata are read.

    Raises:
        UserError: The tracks, or the lifter to start from, do not fit together or with the config.
        RunFailed: MLflow's server, which has that lifter, cannot be reached.
    """
    start = None
    if config.weights is not None:
        from pipelines.train.initial_weights import read_start

        start = read_start(config.weights, config.lifter.name)
        config = start.complete(config)
    # A training may continue with other workers and at another address, so these are no settings.
    settings = flatten(config.model_dump(mode="json", exclude={"output", "resources"}))
    if start:
        settings["weights_sha256"] = start.sha256
    manifest = RunManifest(
        FORMAT, training_settings(config, settings), data_digest(config), may_grow=["optimization.epochs"]
    )
    job = TrainJob(config, manifest, start, tracks)
    if not _is_finished(job):
        _ = job.plan  # it checks the data
    return job


def training_settings(config: TrainingConfig, values: Mapping[str, Any]) -> Settings:
    """The settings that a training, or a search over trainings, depends on.

    Args:
        config: The config.
        values: Its values that count, by dotted path.
    """
    known = values_if_absent(type(config)) | registry.options_if_absent(registry.LIFTERS, config.lifter.name, "lifter")
    # Version 0.1.0 had only lifters without clips, and wrote their chunk as 1 if none was given.
    alike = {"data.chunk": (1, None)} if config.lifter.name == "temporal_conv" else {}
    return Settings(values, known, alike)


def data_digest(config: TrainConfig) -> str:
    """Digest of all files that a training reads.

    Raises:
        UserError: There are no tracks.
    """
    sources = {"labeled": config.labeled, "unlabeled": config.unlabeled}
    return keypoint_reader.digest(
        file
        for field, source in sources.items()
        if source is not None
        for file in keypoint_reader.tracks_files(source, field)
    )


def survey(job: TrainJob) -> TrainingWork:
    """Find out what the output holds.

    Raises:
        UserError: The output holds a training with other settings or other data, or another job.
    """
    return survey_output(job.manifest, job.config.output, "tracks", job.config.optimization.epochs)


def execute(
    job: TrainJob,
    run_id: str,
    listener: TrainingListener,
    *,
    start: str | None = None,
    control: "Control | None" = None,
    fit: "Callable[..., Outcome] | None" = None,
) -> dict[str, Any]:
    """Train, from the last checkpoint if there is one; returns the report, also written to `report.json`.

    Args:
        job: The training.
        run_id: Its MLflow run, noted in the output and in the model's lineage.
        listener: Follows the progress.
        start: The training state of another training (URI) to start from; None: fresh weights.
        control: May end the training early: then its best and last models so far are written, `report.json` is not.
        fit: Runs the workers, as `ray_train.fit` does, which is the default.

    Raises:
        RunFailed: The training diverged, its workers died too often, or the output cannot be written.
        UserError: The data have a fault that only reading them shows, or the cluster lacks resources.
    """
    from pipelines.train.worker import LIFTER_FILE, SELECTION, train_worker
    from pipelines.training import ray_train

    config, plan = job.config, job.plan
    job.manifest.write(config.output, run_id)
    if job.start:
        from pipelines.train.initial_weights import keep_copy

        keep_copy(job.start, config.output)
    card = _card(job, {"run_id": run_id, "data": job.manifest.data})
    settings = {"config": config, "plan": plan, "card": card}
    best = Best(SELECTION, "min", config.warmup_epochs)
    outcome = (fit or ray_train.fit)(
        train_worker, settings, config.output, config.resources, best, listener, start=start, control=control
    )
    report = _report(job, outcome, keep_models(config.output, best, LIFTER_FILE))
    if report["epochs"] == config.optimization.epochs:
        # The report is written last: its presence marks a finished training.
        json_documents.write(storage.join(config.output, "report.json"), report)
    return report


def _is_finished(job: TrainJob) -> bool:
    """Whether the output holds this training, finished; if it holds another one, `survey` reports that."""
    with suppress(UserError):
        return survey(job).nothing_to_do
    return False


def _card(job: TrainJob, lineage: dict[str, str]) -> "LifterCard":
    from pipelines.lifters.checkpoint import SUBJECTS, LifterCard

    config, plan = job.config, job.plan
    subjects = {track.subject for track in plan.training if track.subject}
    lineage |= job.start.lineage(subjects) if job.start else {SUBJECTS: json.dumps(sorted(subjects))}
    return LifterCard(
        lifter=config.lifter.name,
        config=config.lifter.options,
        input_layout=plan.input_layout.name,
        output_layout=plan.output_layout.name,
        trajectory=plan.trajectory,
        fps=plan.fps,
        window=plan.shape.window,
        input=config.data.input,
        detector_errors=config.data.world.errors if config.data.world.enabled else None,
        lineage=lineage,
    )


def _report(job: TrainJob, outcome: "Outcome", best: Mapping[str, Any]) -> dict[str, Any]:
    from pipelines.train.worker import SELECTION

    config, plan = job.config, job.plan
    last = outcome.epochs[-1]
    return {
        "format": FORMAT,
        "version": __version__,
        "output": config.output,
        "epochs": last.epoch,
        "best_epoch": int(best["epoch"]),
        # The number of first epochs without unlabeled tracks, which cannot be the best one.
        "warmup_epochs": config.warmup_epochs,
        "metric": config.metric,
        "best_validation_mm": best[SELECTION] if plan.validation else None,
        "best_validation_mpjpe_mm": _mpjpe_mm(config, best, outcome) if plan.validation else None,
        "last": last.metrics(),
        "tracks": {
            "training": len(plan.training),
            "validation": len(plan.validation),
            "unlabeled": len(plan.unlabeled),
            "shorter_than_receptive_field": plan.short_tracks,
        },
        "fps": plan.fps,
        "window": asdict(plan.shape.window),
        "data": job.manifest.data,
    }


def _mpjpe_mm(config: TrainConfig, best: Mapping[str, Any], outcome: "Outcome") -> float | None:
    """The MPJPE of the best epoch, whatever metric it was chosen by; None if another training ran it."""
    from pipelines.train.worker import SELECTION

    if config.metric == "mpjpe_mm":
        return best[SELECTION]
    return next((epoch.validation["mpjpe_mm"] for epoch in outcome.epochs if epoch.epoch == best["epoch"]), None)
