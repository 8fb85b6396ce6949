"""Finds out where a lifter comes from: its training, the tracks that it read, and the runs that wrote them."""

import re
from typing import Any

import mlflow

from pipelines.io import json_documents, storage
from pipelines.io.addresses import require_no_web_server
from pipelines.mlflow_runs import datasets, experiments
from pipelines.mlflow_runs.entries import addresses_in
from pipelines.register.source import REPORT, Source, run_or_none
from pipelines.tracks import keypoint_reader
from schemas.errors import UserError

# The jobs that write tracks, by the formats of their reports.
_WRITERS = {
    "raylift.report": "label",
    "raylift.import": "import_poses",
    "raylift.triangulate": "triangulate",
    "raylift.curation": "curate",
}
DIGEST_TAG = "raylift.digest"


def lineage_of(source: Source) -> dict[str, Any]:
    """The origin of a lifter; what cannot be read any more becomes a note, not an error.

    Returns:
        `model_sha256`, `version` of the package, `training` (the lineage in the card: its run and the digest of its
        tracks), `tracks` (an entry for each folder: what it holds now and which run wrote it), `datasets` (what for and
        what the training read, by the names and digests that MLflow's search knows) and `notes`.
    """
    card, notes = source.card, list[str]()
    tracks = [
        _tracks(role, uri) for role in source.kind.tracks for uri in addresses_in((source.settings or {}).get(role))
    ]
    if card.lineage.get("run_id") is None:
        notes.append("not trained by raylift: the card names no run")
    elif not tracks:
        notes.append("the training's settings cannot be found: only the digest of its tracks is known")
    elif missing := [entry["uri"] for entry in tracks if "error" in entry]:
        notes.append(f"tracks that cannot be read any more: {', '.join(missing)}")
    elif card.lineage.get("data") != keypoint_reader.digest(
        file for entry in tracks for file in keypoint_reader.tracks_files(entry["uri"])
    ):
        notes.append("the tracks have changed since the training read them")
    return {
        "model_sha256": source.fetched.sha256,
        "version": card.version,
        "training": dict(card.lineage),
        "tracks": tracks,
        "datasets": _datasets(card.lineage.get("run_id")),
        "notes": notes,
    }


def require_known_data(name: str, lineage: dict[str, Any]) -> None:
    """Check that the tracks of a training are unchanged; for models that Raylift has not trained there are none.

    Args:
        name: The lifter.
        lineage: As `lineage_of` gives it.

    Raises:
        UserError: The tracks are gone, or have changed since.
    """
    if lineage["training"].get("run_id") is not None and lineage["notes"]:
        raise UserError(
            f"{name}: nobody can tell what it was trained on: {'; '.join(lineage['notes'])}; bring them back, or give "
            "unknown_data=true to promote it all the same"
        )


def _tracks(role: str, uri: str) -> dict[str, Any]:
    """What a folder of tracks holds now, and which run wrote it."""
    entry: dict[str, Any] = {"role": role, "uri": uri}
    try:
        require_no_web_server(uri, "the training")
        files = keypoint_reader.tracks_files(uri)
        folder = storage.absolute(files[0]).rpartition("/")[0].rpartition("/")[0]
        entry |= {"files": len(files), "digest": keypoint_reader.digest(files)} | _written_by(
            storage.join(folder, REPORT)
        )
    except (UserError, OSError, ValueError) as error:
        entry["error"] = str(error)
    return entry


def _datasets(run_id: str | None) -> list[dict[str, str]]:
    """What MLflow knows that a training has read; nothing if its run is gone."""
    run = run_or_none(run_id)
    read = () if run is None else datasets.read_by(run)
    return [{"context": context, "name": dataset.name, "digest": dataset.digest} for context, dataset in read]


def _written_by(report_uri: str) -> dict[str, Any]:
    """The job and the run that wrote tracks. MLflow finds the run by the digest in the report beside the tracks."""
    if not storage.exists(report_uri):
        return {}
    report = json_documents.read(report_uri)
    job = _WRITERS.get(str(report.get("format")).partition("/")[0])
    # The digest becomes a part of a query to MLflow, so it is checked.
    if job is None or not re.fullmatch(r"[0-9a-f]{1,64}", str(report.get("digest"))):
        return {}
    written = {"job": job, "report_digest": report["digest"]}
    experiment = mlflow.get_experiment_by_name(experiments.name())
    if experiment is not None:
        runs = mlflow.MlflowClient().search_runs(
            [experiment.experiment_id],
            f"tags.`{DIGEST_TAG}` = '{report['digest']}'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        for run in runs:
            written |= {"run_id": run.info.run_id}
            written |= {name: run.data.params[name] for name in ("videos",) if name in run.data.params}
    return written
