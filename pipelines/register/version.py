"""A version of a registered model: found if the lifter has one, else made, with what people and programs look for."""

import json
from typing import Any

import mlflow

from pipelines.io import storage
from pipelines.mlflow_runs import model_uris
from pipelines.mlflow_runs.model_uris import SHA256_TAG
from pipelines.register import package
from pipelines.register.source import Source
from schemas.configs.register import RegisterConfig


def find(config: RegisterConfig, sha256: str) -> int | None:
    """The number of the version that is this very lifter; None if there is none.

    Raises:
        UserError: `config.version` is none.
        MlflowException: The server failed.
    """
    if config.version is not None:
        return int(model_uris.find_version(config.name, version=str(config.version)).version)
    same = f"name='{config.name}' and tags.`{SHA256_TAG}`='{sha256}'"
    return min((int(found.version) for found in mlflow.MlflowClient().search_model_versions(same)), default=None)


def make(name: str, source: Source, lineage: dict[str, Any]) -> int:
    """Upload and register a lifter from the run in progress; its version.

    Raises:
        UserError: It cannot be exported.
        MlflowException: The server failed.
    """
    made = package.log_version(
        name,
        storage.read_bytes(source.fetched.file),
        source.model,
        source.card,
        tags=_tags(source, lineage),
        about={"lineage": lineage, "training": source.training},
        description=_description(source, lineage),
    )
    return int(made.version)


def _tags(source: Source, lineage: dict[str, Any]) -> dict[str, str]:
    card, training = source.card, lineage["training"]
    validation_mm = (source.training or {}).get("best_validation_mpjpe_mm")
    tags = {
        SHA256_TAG: source.fetched.sha256,
        "raylift.version": card.version,
        "raylift.lifter": card.lifter,
        "raylift.input_layout": card.input_layout,
        "raylift.output_layout": card.output_layout,
        "raylift.fps": f"{card.fps:g}",
        "raylift.receptive_field": str(card.receptive_field),
        "raylift.trajectory": str(card.trajectory).lower(),
        "raylift.run_id": training.get("run_id"),
        "raylift.data": training.get("data"),
        "raylift.tracks_runs": ",".join(dict.fromkeys(e["run_id"] for e in lineage["tracks"] if "run_id" in e)),
        "raylift.validation_mpjpe_mm": None if validation_mm is None else f"{validation_mm:.3f}",
        "raylift.lineage": json.dumps(lineage),
    }
    return {name: value for name, value in tags.items() if value}


def _description(source: Source, lineage: dict[str, Any]) -> str:
    """Markdown, for MLflow's pages."""
    card = source.card
    lines = [
        f"{card.lifter} of {card.receptive_field} frames at {card.fps:g} frames/s, {card.input_layout} → "
        f"{card.output_layout}, {'with' if card.trajectory else 'without'} a trajectory; from {source.fetched.name}",
        *(f"{entry['role']} tracks: {entry['uri']}" for entry in lineage["tracks"]),
        *lineage["notes"],
    ]
    return "\n\n".join(lines)
