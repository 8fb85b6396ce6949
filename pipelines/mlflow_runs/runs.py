"""Every job is an MLflow run: flat config, metrics, the digest of its output, artifacts.

The secrets in addresses are replaced, because more people may see a run than may open its videos.

The store is the one that `MLFLOW_TRACKING_URI` names, else MLflow's own default, `sqlite:///mlflow.db`. A run is called
as `MLFLOW_RUN_NAME` says, else by its job and the folder of its output.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipelines.io.secrets import redact
from pipelines.mlflow_runs import datasets, experiments, tracking_server
from pipelines.mlflow_runs.environment import environment
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.retry_queue import RetryQueue
from schemas.job_config import JobConfig, flatten
from schemas.plain_yaml import load_plain

Status = Literal["FINISHED", "FAILED", "KILLED"]

# Longest wait for the id of a new child run. Nothing but a note in its output depends on it.
LONGEST_START_S = 5.0
# The description that MLflow's page of a run begins with.
_DESCRIPTION = "mlflow.note.content"


class Run:
    """A run in progress; it takes entries from any thread and never waits for the server.

    Args:
        run_id: MLflow's id of the run; empty as long as the server has not given it one.
        queue: Entries that are not sent yet; a child run shares the queue of its parent.
    """

    def __init__(self, run_id: str = "", queue: RetryQueue | None = None) -> None:
        self.run_id = run_id
        self.queue = queue or RetryQueue()
        # The last step that an earlier part of the run has logged.
        self._logged_step = 0.0

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log every number of nested metrics under its dotted path, unless an earlier part of the run has done so."""
        numbers = {k: float(v) for k, v in flatten(metrics).items() if isinstance(v, int | float)}
        now = int(1000 * time.time())

        def log(run_id: str) -> None:
            if step is None or step > self._logged_step:
                mlflow.log_metrics(numbers, step=step, run_id=run_id, timestamp=now)

        self._send(log)

    def last(self, metric: str) -> float | None:
        """The newest value of a metric; None if it was never logged.

        Raises:
            RunFailed: The server does not answer.
        """
        try:
            return mlflow.get_run(self.run_id).data.metrics.get(metric)
        except mlflow.MlflowException as error:
            raise tracking_server.to_run_failed(error) from error

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Log texts, such as the digest of the output."""
        for name, value in tags.items():
            self._send(partial(_set_tag, name, redact(value)))

    def log_tracks(self, track_set: datasets.TrackSet) -> None:
        """Note which tracks the run reads, as a dataset of MLflow's."""
        if track_set.tracks:
            self._send(lambda run_id: datasets.log(run_id, track_set))

    def log_videos(self, video_set: datasets.VideoSet) -> None:
        """Note which videos the run reads, as a dataset of MLflow's."""
        if video_set.videos:
            self._send(lambda run_id: datasets.log(run_id, video_set))

    def log_json(self, value: Mapping[str, Any], name: str) -> None:
        """Keep a document as an artifact."""
        self._log_text(json.dumps(dict(value), indent=2, ensure_ascii=False, default=str), name)

    def log_report(self, report: Mapping[str, Any]) -> None:
        """Log the report of a job whose output has a digest: its numbers, the digest, and all of it as an artifact."""
        self.log_metrics({name: value for name, value in report.items() if isinstance(value, int | float)})
        self.log_tags({"raylift.digest": report["digest"]})
        self.log_json(report, "report.json")

    def log_table(self, columns: Mapping[str, Sequence[Any]], name: str) -> None:
        """Keep a table, which MLflow's page compares between runs row by row; `name` ends in .json."""
        data = {column: list(values) for column, values in columns.items()}
        self._send(lambda run_id: mlflow.log_table(data, name, run_id=run_id))

    def log_page(self, html: str, name: str) -> None:
        """Keep an HTML page as an artifact, which MLflow's web interface shows."""
        self._log_text(html, name)

    def child(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], run_id: str | None = None) -> "Run":
        """Begin or continue a run that is part of this one; the caller must call `end` on it.

        If the server is away, the child begins once it is back, and has no `run_id` until then.

        Args:
            name: Of the child run.
            params: Nested parameters.
            tags: To find the run by.
            run_id: The run to continue; a new one begins if the store has none of this id.
        """
        child, flat = Run(run_id or "", self.queue), flat_params(params)

        def begin() -> None:
            client = mlflow.MlflowClient()
            if run_id and _exists(run_id):
                client.update_run(run_id, status="RUNNING")
                child._logged_step = mlflow.get_run(run_id).data.metrics.get("epoch", 0)
                return
            if child.run_id == (run_id or ""):  # else an earlier attempt has made the run, and failed then
                experiment = client.get_run(self.run_id).info.experiment_id
                run = client.create_run(experiment, tags={"mlflow.parentRunId": self.run_id, **tags}, run_name=name)
                child.run_id = run.info.run_id
            mlflow.log_params(flat, run_id=child.run_id)

        self.queue.send(begin)
        self.queue.settle(LONGEST_START_S)
        return child

    def end(self, status: Status) -> None:
        """Record how a child run ended."""
        now = int(1000 * time.time())
        self._send(lambda run_id: mlflow.MlflowClient().set_terminated(run_id, status, now))

    def log_bytes(self, content: bytes, name: str, folder: str | None = None) -> None:
        """Keep the content of a file as an artifact, in a folder of the run if one is named."""

        def upload(run_id: str) -> None:
            with tempfile.TemporaryDirectory() as local:
                Path(local, name).write_bytes(content)
                mlflow.log_artifact(str(Path(local, name)), folder, run_id=run_id)

        self._send(upload)

    def log_file(self, path: str, folder: str | None = None) -> None:
        """Keep a file of this machine as an artifact, in a folder of the run if one is named."""
        self._send(lambda run_id: mlflow.log_artifact(path, folder, run_id=run_id))

    def _log_text(self, text: str, name: str) -> None:
        shown = redact(text)
        self._send(lambda run_id: mlflow.log_text(shown, name, run_id=run_id))

    def _send(self, entry: Callable[[str], object]) -> None:
        """Send an entry with the id that the run has by then; without one MLflow would log to another run."""
        self.queue.send(lambda: entry(self.run_id) if self.run_id else None)


@contextmanager
def record(job: str, config: JobConfig, run_id: str | None = None, parent: str | None = None) -> Iterator[Run]:
    """Record a job as an MLflow run; an exception within the block marks the run as failed.

    A job that runs within another one's block is part of it.

    Args:
        job: Its name.
        config: Becomes the run's parameters.
        run_id: A run of the same config to continue; a new one begins if the store has none of this id.
        parent: The run that this one is part of.

    Raises:
        RunFailed: The tracking store cannot be used.
    """
    tracking_server.connect()
    try:
        experiments.use()
        within = mlflow.active_run() is not None
        if run_id is not None and _exists(run_id):
            run = mlflow.start_run(run_id, nested=within)
        else:
            name, tags = _name(job, config), {"raylift.job": job}
            run = mlflow.start_run(run_name=name, tags=tags, parent_run_id=parent, nested=within)
            mlflow.log_params(flat_params(config.model_dump(mode="json")))
    except mlflow.MlflowException as error:
        raise tracking_server.to_run_failed(error) from error
    recorded, status = Run(run.info.run_id), "FAILED"
    recorded.log_json(environment(), "environment.json")
    try:
        yield recorded
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except Exception as error:
        recorded.log_tags({_DESCRIPTION: f"Failed: {error or type(error).__name__}"})
        raise
    finally:
        recorded.end(status)
        recorded.queue.close()
        # MLflow keeps an active run of its own in this process.
        with suppress(*tracking_server.failures()), tracking_server.impatient():
            mlflow.end_run(status)


def _name(job: str, config: JobConfig) -> str:
    """What a run is called where no one says it: its job, and the last folder of its output."""
    folder = str(getattr(config, "output", "")).rstrip("/").rsplit("/", 1)[-1]
    return os.environ.get("MLFLOW_RUN_NAME") or redact(f"{job} {folder}".strip())


def _set_tag(name: str, value: str, run_id: str) -> None:
    mlflow.MlflowClient().set_tag(run_id, name, value)


def flat_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Nested parameters as MLflow gets them: texts by dotted path, without the secrets of addresses."""
    return {name: redact(str(value)) for name, value in flatten(params).items()}


def addresses_in(value: Any) -> list[str]:
    """The addresses in a parameter as MLflow gives it back: a text, the text of a list, or nothing."""
    if isinstance(value, str) and value.startswith("["):
        value = load_plain(value)
    if value is None or value == "None":
        return []
    return [value] if isinstance(value, str) else [str(uri) for uri in value]


def _exists(run_id: str) -> bool:
    try:
        mlflow.get_run(run_id)
    except mlflow.MlflowException as error:
        if tracking_server.is_missing(error):
            return False
        raise
    return True
