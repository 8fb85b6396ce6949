"""Training from start to end: what was begun is continued, what is done stays; Ray Train runs the workers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines import documents, storage
from pipelines.lifters.checkpoint import LifterCard
from pipelines.train.checkpoints import Best
from pipelines.train.data import DataPlan
from pipelines.train.fitting import best_and_last, fit
from pipelines.train.listening import Control, Heard, Listener
from pipelines.train.loop import has_trajectory
from pipelines.train.worker import LIFTER_FILE, SELECTION, train_worker
from schemas import __version__
from schemas.config import flatten
from schemas.errors import UserError
from schemas.train import TrainConfig

FORMAT = "raylift.training/1"
# What checkpoints are ranked by.
BEST = Best(SELECTION, "min")


@dataclass(frozen=True)
class Begun:
    """A training that an output holds.

    Attributes:
        run_id: Its MLflow run.
        report: Of the finished training; None while it is not.
    """

    run_id: str
    report: dict[str, Any] | None


def look_up(config: TrainConfig, plan: DataPlan) -> Begun | None:
    """What the output holds; None if it is new.

    Raises:
        UserError: It holds a training with other settings, or of other data.
    """
    uri = storage.join(config.output, "run.json")
    if not storage.exists(uri):
        return None
    begun = documents.read(uri)
    require_same(config.output, begun, _settings(config), plan.digest)
    report = storage.join(config.output, "report.json")
    return Begun(begun["run_id"], documents.read(report) if storage.exists(report) else None)


def require_same(
    output: str, begun: Mapping[str, Any], settings: Mapping[str, Any], data: str, what: str = "tracks"
) -> None:
    """Check that what an output was begun with is what is now given.

    Args:
        output: The folder.
        begun: Its note, with `settings` and the digest of the `data`.
        settings: Those now given, by dotted path.
        data: The digest of the data now given.
        what: The data, for the message.

    Raises:
        UserError: A setting or the data are others.
    """
    for name in sorted(begun["settings"].keys() | settings.keys()):
        before, given = begun["settings"].get(name), settings.get(name)
        if before != given:
            raise UserError(
                f"output={output}: was begun with {name}={before}, now {name}={given}; "
                "give the same settings to continue, or another output"
            )
    if begun["data"] != data:
        raise UserError(
            f"output={output}: the {what} have changed since this training was begun; "
            f"give the same {what} to continue, or another output"
        )


def begin(config: TrainConfig, plan: DataPlan, run_id: str) -> None:
    """Note in the output which training it holds."""
    note = {"format": FORMAT, "run_id": run_id, "data": plan.digest, "settings": _settings(config)}
    documents.write(storage.join(config.output, "run.json"), note)


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


def _settings(config: TrainConfig) -> dict[str, Any]:
    # Who computes may change between a training's parts, where it lies may too.
    return documents.as_read(flatten(config.model_dump(mode="json", exclude={"output", "resources"})))


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
        documents.write(storage.join(config.output, "report.json"), report)
    return report
