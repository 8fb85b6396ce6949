"""Uploads a packaged model to MLflow, and makes it a version of a registered model."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from pipelines.mlflow_runs import logged_models
from pipelines.mlflow_runs.logged_models import ModelFile
from schemas.errors import RunFailed


def log_version(
    name: str, file: ModelFile, pack: Callable[[str], dict[str, Any]], *, tags: Mapping[str, str], description: str
) -> ModelVersion:
    """Log a model in the active MLflow run and register it as a version.

    Args:
        name: Name of the registered model, which is created if it does not exist.
        file: The file of the model; what its training has logged of it becomes the version.
        pack: Writes the files of the version into a folder, and returns what MLflow is told of them.
        tags: Tags of the version.
        description: Description of the version, Markdown.

    Raises:
        UserError: The model cannot be exported.
        RunFailed: The files cannot be uploaded.
        MlflowException: The server failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        packed = pack(folder)
        try:
            uploaded = _upload(packed, file, folder)
        except OSError as error:
            raise RunFailed(
                f"MLFLOW_TRACKING_URI={mlflow.get_tracking_uri()}: the model cannot be stored there: {error}; check "
                "that the server serves artifacts, or that this machine may write where it keeps them"
            ) from error
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name, uploaded.uri, uploaded.run_id, dict(tags), description=description, model_id=uploaded.model_id
    )
    if uploaded.model_id is not None:
        _name_in_table(client, uploaded.model_id, version)
    return version


def _name_in_table(client: mlflow.MlflowClient, model_id: str, version: ModelVersion) -> None:
    """Let the experiment's table of models show the version, once; some stores have written this tag by themselves."""
    known = json.loads(client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    # MLflow's server writes the number of the version as a number, and its client as a text.
    if (version.name, str(version.version)) not in {(each["name"], str(each["version"])) for each in known}:
        known.append({"name": version.name, "version": str(version.version)})
        client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(known)})


@dataclass(frozen=True)
class _Uploaded:
    """Where the files of a model are: in a logged model, or in a run."""

    uri: str
    run_id: str
    model_id: str | None


def _upload(packed: dict[str, Any], file: ModelFile, folder: str) -> _Uploaded:
    """Upload a model's files: into the logged model of the lifter's training if it is known, else into the run."""
    run = mlflow.active_run()
    assert run is not None
    run_id, client = run.info.run_id, mlflow.MlflowClient()
    try:
        model = logged_models.find(client, run_id, file.sha256)
        if model is not None:
            logged = mlflow.pyfunc.log_model(model_id=model.model_id, **packed)
        else:
            logged = mlflow.pyfunc.log_model(**logged_models.arguments(file), **packed)
    except MlflowException as error:
        if not logged_models.is_too_old(error):
            raise
        path = str(Path(folder, "model"))
        mlflow.pyfunc.save_model(path, **packed)
        client.log_artifacts(run_id, path, "model")
        return _Uploaded(f"runs:/{run_id}/model", run_id, None)
    return _Uploaded(logged.model_uri, run_id, logged.model_id)
