"""Finds what to register: a file, the result of a finished training, or a version that is already registered."""

import tempfile
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipelines.io import json_documents, storage
from pipelines.io.addresses import require_no_web_server
from pipelines.io.stores import sizes
from pipelines.mlflow_runs import model_uris, tracking_server
from pipelines.mlflow_runs.model_uris import FetchedModel
from pipelines.register.kinds import Kind, kind_of
from schemas.configs.register import RegisterConfig
from schemas.errors import UserError

BEST = "best.pt"
# The files that raylift train and each trial of raylift tune write beside their models: the first at the start, the
# second at the end.
MANIFEST, REPORT = "run.json", "report.json"
JOB_TAG = "raylift.job"
# What the report of a training says of its best epoch, of a lifter and of an aligner.
_SCORES = {"best_validation_mpjpe_mm", "best_kendalls_tau"}
# This tag of a trial of raylift tune is finished, stopped (early) or failed.
STATE_TAG = "raylift.state"


@dataclass(frozen=True)
class Source:
    """A lifter or aligner that may be registered.

    Attributes:
        kind: Which of them it is.
        fetched: Its file.
        model: It, on the CPU and in evaluation mode.
        card: Its card.
        training: The report of its training; None if there is none or it cannot be found.
        settings: The settings of its training, by dotted path; None if they cannot be found.
    """

    kind: Kind
    fetched: FetchedModel
    model: Any
    card: Any
    training: dict[str, Any] | None
    settings: dict[str, Any] | None


def find_source(config: RegisterConfig) -> Source:
    """Find and load what a config names.

    Raises:
        UserError: There is no such file, it is damaged, its training is not finished, or the run is not a training.
        RunFailed: The tracking server cannot be used.
    """
    tracking_server.connect(registry=True)
    try:
        if config.run is not None:
            fetched = _of_run(config.run)
        elif config.version is not None:
            fetched = model_uris.fetch(f"models:/{config.name}/{config.version}", None)
        else:
            assert config.model is not None
            fetched = model_uris.fetch(config.model, None)
        kind = kind_of(fetched.file)
        model, card = kind.load(fetched, config.trust)
        run_id = card.lineage.get("run_id")
        beside = _beside(fetched, run_id)
        if beside is None and not fetched.name.startswith("models:"):
            _require_finished(fetched.name, run_id)
        training, settings = beside or _logged(run_id)
    except MlflowException as error:
        raise tracking_server.to_run_failed(error) from error
    return Source(kind, fetched, model, card, training, settings)


def _of_run(run_id: str) -> FetchedModel:
    try:
        run = mlflow.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise UserError(
            f"run={run_id}: there is no such run in {mlflow.get_tracking_uri()}; give its MLflow id"
        ) from error
    job = run.data.tags.get(JOB_TAG, "no job of raylift")
    if job not in ("train", "train_aligner"):
        raise UserError(f"run={run_id}: is a run of {job}, which makes no lifter; give one of raylift train")
    _require_finished(f"run={run_id}", run_id)
    if any(artifact.path == BEST for artifact in mlflow.MlflowClient().list_artifacts(run_id)):
        return model_uris.fetch(f"runs:/{run_id}/{BEST}")
    # Some runs, such as the trials of a search, do not log their models in MLflow, so the output is read.
    file = storage.join(run.data.params.get("output", ""), BEST)
    require_no_web_server(file, f"run={run_id}")
    if not storage.exists(file):
        raise UserError(f"run={run_id}: holds no {BEST}, nor does its output {file}; give model=…")
    return model_uris.fetch(file)


def _require_finished(name: str, run_id: str | None) -> None:
    """Check in MLflow, if it knows the run, that a training is finished.

    Raises:
        UserError: The training is still running, or was interrupted.
    """
    run = run_or_none(run_id)
    if run is None:
        return
    state = run.info.status.lower() if run.info.status != "FINISHED" else run.data.tags.get(STATE_TAG, "finished")
    if state != "finished":
        raise UserError(
            f"{name}: its training (run {run_id}) is not finished but {state}; "
            "let it end, or run the same command again to go on with it"
        )


def _beside(fetched: FetchedModel, run_id: str | None) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Report and settings of the training in whose output the file is; None if it is elsewhere.

    Raises:
        UserError: The training is not finished.
    """
    if model_uris.is_registered(fetched.name):
        return None
    folder = fetched.file.rpartition("/")[0] or "."
    manifest_file, report_file = (storage.join(folder, name) for name in (MANIFEST, REPORT))
    if not storage.exists(manifest_file):
        return None
    manifest = json_documents.read(manifest_file, settings=dict)
    if manifest.get("run_id") != run_id:
        return None
    if not storage.exists(report_file):
        raise UserError(
            f"{fetched.name}: its training is not finished: {folder} holds no {REPORT}; "
            "let it end, or run the same command again to go on with it"
        )
    return _report(report_file), manifest["settings"]


def _logged(run_id: str | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Report and settings of a training from MLflow; None for what MLflow does not have."""
    run = run_or_none(run_id)
    if run_id is None or run is None:
        return None, None
    report, client = None, mlflow.MlflowClient()
    there = next((entry for entry in client.list_artifacts(run_id) if entry.path == REPORT), None)
    if there is not None:
        model_uris.require_small_file(there, f"run {run_id}", sizes.PARSED)
        with tempfile.TemporaryDirectory() as folder:
            report = _report(client.download_artifacts(run_id, REPORT, folder))
    return report, run.data.params


def _report(uri: str) -> dict[str, Any]:
    """The report of a training, as whoever wrote it has it; its scores, which descriptions and tags show, are numbers.

    Raises:
        UserError: It is damaged.
    """
    report = json_documents.read(uri)
    with json_documents.damage(uri):
        for name in _SCORES & report.keys():
            report[name] = None if report[name] is None else float(report[name])
    return report


def run_or_none(run_id: str | None) -> Run | None:
    """A run of MLflow's; None if there is none.

    Raises:
        MlflowException: The server failed.
    """
    try:
        return None if run_id is None else mlflow.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
