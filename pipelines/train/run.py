"""Training from start to end: what was begun is continued, what is done stays; Ray Train runs the workers."""

from typing import Any

from pipelines.io import json_documents, storage
from pipelines.io.manifest import ExistingRun, RunManifest
from pipelines.lifters.checkpoint import LifterCard
from pipelines.train.data import DataPlan
from pipelines.train.loop import has_trajectory
from pipelines.train.worker import LIFTER_FILE, SELECTION, train_worker
from pipelines.training.checkpoints import Best
from pipelines.training.events import Control, Heard, Listener
from pipelines.training.ray_train import best_and_last, fit
from schemas import __version__
from schemas.configs.train import TrainConfig
from schemas.job_config import flatten

FORMAT = "raylift.training/1"
# What checkpoints are ranked by.
BEST = Best(SELECTION, "min")


def look_up(config: TrainConfig, plan: DataPlan) -> ExistingRun | None:
    """What the output holds; None if it is new.

    Raises:
        UserError: It holds a training with other settings, or of other data, or another job.
    """
    return _manifest(config, plan).existing_run(config.output, "tracks")


def begin(config: TrainConfig, plan: DataPlan, run_id: str) -> None:
    """Note in the output which training it holds."""
    _manifest(config, plan).write(config.output, run_id)


def execute(
    config: TrainConfig,
    plan: DataPlan,
    run_id: str,
    listener: Listener,
    start: str | None = None,
    control: Control | None = None,
) -> dict[str, Any]:
    """Train, from the last checkpoint on if there is one; returns the report, also written to `report.json`.

    Args:
        config: The job.
        plan: Its data.
        run_id: Goes into the model's lineage.
        listener: Hears how it goes.
        start: The training state of another training (URI) to begin with; none: fresh weights.
        control: May end the training early: then its best and last models so far are written, `report.json` is not.

    Raises:
        RunFailed: The training diverged, its workers died too often, or the output cannot be written.
        UserError: A mistake that only reading the data shows, or resources that are not there.
    """
    card = _card(config, plan, {"run_id": run_id, "data": plan.digest})
    settings = {"config": config, "plan": plan, "card": card, "start": start}
    heard = fit(train_worker, settings, config.output, config.resources, BEST, listener, control)
    return _finish(config, plan, heard)


def _manifest(config: TrainConfig, plan: DataPlan) -> RunManifest:
    # Who computes may change between a training's parts, where it lies may too.
    settings = flatten(config.model_dump(mode="json", exclude={"output", "resources"}))
    return RunManifest(FORMAT, settings, plan.digest)


def _card(config: TrainConfig, plan: DataPlan, lineage: dict[str, str]) -> LifterCard:
    return LifterCard(
        lifter=config.lifter.name,
        config=config.lifter.options,
        input_layout=plan.input_layout.name,
        output_layout=plan.output_layout.name,
        trajectory=has_trajectory(config, plan),
        fps=plan.fps,
        receptive_field=plan.shape.receptive_field,
        lineage=lineage,
    )


def _finish(config: TrainConfig, plan: DataPlan, heard: Heard) -> dict[str, Any]:
    best_metrics, files = best_and_last(config.output, BEST, LIFTER_FILE)
    for name, data in files.items():
        storage.write_bytes(storage.join(config.output, name), data)
    last = heard.epochs[-1]
    report = {
        "format": FORMAT,
        "version": __version__,
        "output": config.output,
        "epochs": last.epoch,
        "best_epoch": int(best_metrics["epoch"]),
        "best_validation_mpjpe_mm": best_metrics[SELECTION] if plan.validation else None,
        "last": last.metrics(),
        "tracks": {
            "training": len(plan.training),
            "validation": len(plan.validation),
            "unlabeled": len(plan.unlabeled),
            "shorter_than_receptive_field": plan.short_tracks,
        },
        "fps": plan.fps,
        "receptive_field": plan.shape.receptive_field,
        "data": plan.digest,
    }
    if last.epoch == config.optimization.epochs:
        json_documents.write(storage.join(config.output, "report.json"), report)
    return report
