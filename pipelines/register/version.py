"""Finds and makes versions of a registered model, with tags for programs and a description for people."""

from typing import Any

import mlflow

from pipelines.io import storage
from pipelines.mlflow_runs import model_uris, tracking_server
from pipelines.mlflow_runs.model_names import PARENT_TAG, SHA256_TAG
from pipelines.register.description import describe
from pipelines.register.source import Source
from pipelines.register.upload import log_version
from schemas.configs.register import RegisterConfig


def find(config: RegisterConfig, sha256: str) -> int | None:
    """The number of the version that is this very lifter; None if there is none.

    Raises:
        UserError: There is no version of the number `config.version`.
        MlflowException: The server failed.
    """
    if config.version is not None:
        return int(model_uris.find_version(config.name, version=str(config.version)).version)
    same = f"name='{config.name}' and tags.`{SHA256_TAG}`='{sha256}'"
    return min((int(version.version) for version in mlflow.MlflowClient().search_model_versions(same)), default=None)


def with_alias(name: str, alias: str) -> str | None:
    """The version that has an alias, as `models:/name/2`; None if there is none.

    Raises:
        MlflowException: The server failed.
    """
    try:
        version = mlflow.MlflowClient().get_registered_model(name).aliases.get(alias)
    except mlflow.MlflowException as error:
        if tracking_server.is_missing(error):
            return None
        raise
    return None if version is None else f"models:/{name}/{version}"


def make(name: str, source: Source, lineage: dict[str, Any]) -> int:
    """Upload a lifter or aligner and register it from the active MLflow run; returns the number of the version.

    Raises:
        UserError: The model cannot be exported.
        RunFailed: The files cannot be uploaded.
        MlflowException: The server failed.
    """
    kind, content = source.kind, storage.read_bytes(source.fetched.file, unparsed=True)
    about = {"lineage": lineage, "training": source.training}
    made = log_version(
        name,
        kind.file(source.fetched.name, source.fetched.sha256, source.card),
        lambda folder: kind.pack(folder, content, source.model, source.card, about),
        tags=_tags(source, lineage),
        description=describe(source, lineage),
    )
    return int(made.version)


def _tags(source: Source, lineage: dict[str, Any]) -> dict[str, str]:
    card, training = source.card, lineage["training"]
    tags = {
        SHA256_TAG: source.fetched.sha256,
        "raylift.version": card.version,
        **source.kind.tags(card, source.training or {}),
        "raylift.run_id": training.get("run_id"),
        "raylift.data": training.get("data"),
        "raylift.tracks_runs": ",".join(dict.fromkeys(e["run_id"] for e in lineage["tracks"] if "run_id" in e)),
        PARENT_TAG: training.get("parent_sha256"),
    }
    return {name: value for name, value in tags.items() if value}
