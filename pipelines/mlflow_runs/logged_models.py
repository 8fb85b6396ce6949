"""Lifters as MLflow's logged models: each with its scores over every set of tracks that it was scored on.

The model of a lifter is found again by the hash of the lifter's file, so that a training that made it, evaluations that
score it and a registration that promotes it speak of one model, wherever the file lies by then.
"""

import json
import logging
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipelines.io.secrets import redact
from pipelines.mlflow_runs import datasets, names
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.model_names import SHA256_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.exceptions import MlflowException

    from pipelines.aligners.checkpoint import AlignerCard
    from pipelines.lifters.checkpoint import LifterCard

log = logging.getLogger(__name__)
# MLflow takes at most this many metrics in a request.
_MOST_METRICS = 1000
_LONGEST_NAME = 200
_OLDEST_FIRST = [{"field_name": "creation_timestamp", "ascending": True}]
# Characters that MLflow does not allow in names of models.
_NOT_IN_NAMES = re.compile(r"[^\w-]+")
# Servers whose lack of logged models was already logged, so that it is logged once.
_old_servers: set[str] = set()


@dataclass(frozen=True)
class ModelFile:
    """The file of a lifter, or of an aligner.

    Attributes:
        name: What people call it: the folder of its training, or the name of a shipped lifter.
        sha256: Hash of the file.
        params: What it is, such as its layouts.
        tags: Further texts, such as where it lies.
        kind: What MLflow's table of models calls it.
    """

    name: str
    sha256: str
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    kind: str = "lifter"

    @classmethod
    def of(cls, address: str, sha256: str, card: "LifterCard") -> "ModelFile":
        """A lifter by its address and its card."""
        params = {
            "lifter": card.lifter,
            "input_layout": card.input_layout,
            "output_layout": card.output_layout,
            "frames_read": str(card.window.inputs),
            "frames_per_s": f"{card.fps:g}",
            "input": card.input,
            "trajectory": str(card.trajectory).lower(),
        }
        return cls(names.of_model(address), sha256, params, {"raylift.file": redact(address)})

    @classmethod
    def of_aligner(cls, address: str, sha256: str, card: "AlignerCard") -> "ModelFile":
        """An aligner by its address and its card."""
        params = {"aligner": card.aligner, "pairs": card.pairs}
        return cls(names.of_model(address), sha256, params, {"raylift.file": redact(address)}, "aligner")


@dataclass(frozen=True)
class Scores:
    """What a lifter scored.

    Attributes:
        metrics: Values by the whole name, such as "test/mpjpe_mm".
        tracks: What it was scored on; None if it is not named.
        step: The epoch after which the lifter was as it is.
        timestamp_ms: When, milliseconds since 1970.
    """

    metrics: Mapping[str, float]
    tracks: datasets.TrackSet | None = None
    step: int = 0
    timestamp_ms: int = field(default_factory=lambda: int(1000 * time.time()))


def note_made(run_id: str, model: ModelFile, step: int, scores: Scores | None) -> None:
    """Note in a run a lifter that it has trained, and what that scored.

    Args:
        run_id: The run.
        model: The lifter.
        step: The epoch after which it was as it is.
        scores: What it scored on the people held out; None if nobody was.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    from mlflow.entities import LoggedModelOutput

    client = mlflow.MlflowClient()
    logged = _find_or_make(client, run_id, model, step)
    if logged is None:
        return
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step)])
    if scores is None:
        return
    for name, value in scores.metrics.items():
        # The run has this metric already. Logging the very same entry with a model adds no second point to the run's
        # chart.
        history = client.get_metric_history(run_id, name)
        logged_at = next(
            (e.timestamp for e in history if (e.step, e.value) == (scores.step, value)), scores.timestamp_ms
        )
        same = replace(scores, metrics={name: value}, timestamp_ms=logged_at)
        _log_scores(client, run_id, same, logged.model_id)


def note_scored(run_id: str, model: ModelFile, scores: Iterable[Scores]) -> None:
    """Note in a run what a lifter scored; where the server knows no logged models, the scores stand in the run alone.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    from mlflow.entities import LoggedModelInput

    client = mlflow.MlflowClient()
    logged = _find_or_make(client, run_id, model, None)
    if logged is not None:
        client.log_inputs(run_id, models=[LoggedModelInput(logged.model_id)])
    for each in scores:
        _log_scores(client, run_id, each, None if logged is None else logged.model_id)


def note_used(run_id: str, sha256: str) -> None:
    """Note in a run a model that it uses; one that nobody trained or scored in its experiment has no place there.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    from mlflow.entities import LoggedModelInput

    client = mlflow.MlflowClient()
    try:
        logged = find(client, run_id, sha256)
    except mlflow.MlflowException as error:
        if not is_too_old(error):
            raise
        return
    if logged is not None:
        client.log_inputs(run_id, models=[LoggedModelInput(logged.model_id)])


def find(client: "MlflowClient", run_id: str, sha256: str) -> "LoggedModel | None":
    """The model of a lifter's file in the experiment of a run; None if there is none.

    Raises:
        mlflow.MlflowException: The store cannot be used, or knows no logged models (see `is_too_old`).
    """
    experiment, same = client.get_run(run_id).info.experiment_id, f"tags.`{SHA256_TAG}` = '{sha256}'"
    return next(iter(client.search_logged_models([experiment], same, max_results=1, order_by=_OLDEST_FIRST)), None)


def arguments(model: ModelFile) -> dict[str, Any]:
    """The arguments of MLflow's functions that make a model."""
    return {
        "name": _NOT_IN_NAMES.sub("_", model.name)[:_LONGEST_NAME],
        "tags": {SHA256_TAG: model.sha256, **model.tags},
        "params": dict(model.params),
        "model_type": model.kind,
    }


def is_too_old(error: "MlflowException") -> bool:
    """Whether a server has rejected a request because it knows no logged models, which is logged once."""
    if error.error_code != "ENDPOINT_NOT_FOUND":
        return False
    address = redact(mlflow.get_tracking_uri())
    if address not in _old_servers:
        _old_servers.add(address)
        log.warning(
            "MLFLOW_TRACKING_URI=%s: this server is older than MLflow 3 and has no table of models; runs and versions "
            "are recorded as before, and a newer server would compare lifters there",
            address,
        )
    return True


def log_batch(run_id: str, metrics: Mapping[str, float], step: int, timestamp_ms: int, **links: str) -> None:
    """Log metrics in as few requests as MLflow takes them.

    Args:
        run_id: The run.
        metrics: Values by name.
        step: The epoch, or whatever the run counts.
        timestamp_ms: When they were measured, milliseconds since 1970.
        links: What they are metrics of: `model_id`, `dataset_name` and `dataset_digest`.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    from mlflow.entities import Metric

    client = mlflow.MlflowClient()
    entries = [Metric(name, value, timestamp_ms, step, run_id=run_id, **links) for name, value in metrics.items()]
    for start in range(0, len(entries), _MOST_METRICS):
        client.log_batch(run_id, entries[start : start + _MOST_METRICS])


def _find_or_make(client: "MlflowClient", run_id: str, model: ModelFile, made: int | None) -> "LoggedModel | None":
    """The model of a lifter's file, made if there is none; None where the server knows no logged models.

    Args:
        client: MLflow.
        run_id: The run that it is noted in.
        model: The lifter.
        made: The epoch after which it was as it is, if this run has trained it; None if it has not.
    """
    try:
        logged = find(client, run_id, model.sha256)
        if logged is not None:
            return logged
        run, fields = client.get_run(run_id), arguments(model)
        if made is not None:
            fields["tags"] |= {names.DESCRIPTION_TAG: _origin(run, made)}
        return mlflow.create_external_model(
            **fields,
            source_run_id=None if made is None else run_id,
            experiment_id=run.info.experiment_id,
        )
    except mlflow.MlflowException as error:
        if is_too_old(error):
            return None
        raise


def _origin(run: "Run", step: int) -> str:
    """What the page of a model begins with: the epoch and the run that made it, and the tracks that this has read."""
    place = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    lines = list[str]()
    for context, dataset in datasets.read_by(run):
        profile = json.loads(dataset.profile or "{}")
        counts = f"{profile['tracks']} tracks, {profile['frames']} frames, " if "frames" in profile else ""
        lines.append(f"- {context}: {dataset.name} ({counts}digest {dataset.digest})")
    return "\n\n".join(filter(None, [f"After epoch {step} of [{run.info.run_name}]({place}).", "\n".join(lines)]))


def _log_scores(client: "MlflowClient", run_id: str, scores: Scores, model_id: str | None) -> None:
    links = {} if model_id is None else {"model_id": model_id}
    if scores.tracks is not None and model_id is not None:
        dataset = datasets.entity(scores.tracks)
        links |= {"dataset_name": dataset.name, "dataset_digest": dataset.digest}
    log_batch(run_id, scores.metrics, scores.step, scores.timestamp_ms, **links)
