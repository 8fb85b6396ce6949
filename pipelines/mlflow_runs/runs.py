"""Every job is an MLflow run: flat config, metrics, the digest of its output, artifacts.

The secrets in addresses are replaced, because more people may see a run than may open its videos.

The store is the one that `MLFLOW_TRACKING_URI` names, else MLflow's own default, `sqlite:///mlflow.db`.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipelines.io.secrets import redact
from pipelines.mlflow_runs import tracking_server
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.retry_queue import RetryQueue
from schemas.job_config import JobConfig, flatten

EXPERIMENT = "raylift"
Status = Literal["FINISHED", "FAILED", "KILLED"]


class Run:
    """A run in progress; it takes entries from any thread, also while the server is away.

    Args:
        run_id: MLflow's id of the run.
        queue: Entries that are not sent yet; a child run shares the queue of its parent.
    """

    def __init__(self, run_id: str, queue: RetryQueue | None = None) -> None:
        self.run_id = run_id
        self.queue = queue or RetryQueue()

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log every number of nested metrics under its dotted path."""
        numbers = {k: float(v) for k, v in flatten(metrics).items() if isinstance(v, int | float)}
        now = int(1000 * time.time())
        self.queue.send(lambda: mlflow.log_metrics(numbers, step=step, run_id=self.run_id, timestamp=now))

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
            self.queue.send(partial(mlflow.MlflowClient().set_tag, self.run_id, name, redact(value)))

    def log_json(self, value: Mapping[str, Any], name: str) -> None:
        """Keep a document as an artifact."""
        self._log_text(json.dumps(dict(value), indent=2, ensure_ascii=False, default=str), name)

    def log_page(self, html: str, name: str) -> None:
        """Keep an HTML page as an artifact, which MLflow's web interface shows."""
        self._log_text(html, name)

    def child(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str], run_id: str | None = None) -> "Run":
        """Begin or continue a run that is part of this one; the caller must call `end` on it.

        Args:
            name: Of the child run.
            params: Nested parameters.
            tags: To find the run by.
            run_id: The run to continue; a new one begins if the store has none of this id.

        Raises:
            RunFailed: The server cannot be used.
        """
        client = mlflow.MlflowClient()
        try:
            if run_id is not None and _exists(run_id):
                client.update_run(run_id, status="RUNNING")
                return Run(run_id, self.queue)
            experiment = client.get_run(self.run_id).info.experiment_id
            run = client.create_run(experiment, tags={"mlflow.parentRunId": self.run_id, **tags}, run_name=name)
            mlflow.log_params(_flat_params(params), run_id=run.info.run_id)
        except mlflow.MlflowException as error:
            raise tracking_server.to_run_failed(error) from error
        return Run(run.info.run_id, self.queue)

    def end(self, status: Status) -> None:
        """Record how a child run ended."""
        now = int(1000 * time.time())
        self.queue.send(lambda: mlflow.MlflowClient().set_terminated(self.run_id, status, now))

    def log_bytes(self, content: bytes, name: str) -> None:
        """Keep the content of a file as an artifact."""

        def upload() -> None:
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, name).write_bytes(content)
                mlflow.log_artifact(str(Path(folder, name)), run_id=self.run_id)

        self.queue.send(upload)

    def log_file(self, path: str, folder: str | None = None) -> None:
        """Keep a file of this machine as an artifact, in a folder of the run if one is named."""
        self.queue.send(lambda: mlflow.log_artifact(path, folder, run_id=self.run_id))

    def _log_text(self, text: str, name: str) -> None:
        shown = redact(text)
        self.queue.send(lambda: mlflow.log_text(shown, name, run_id=self.run_id))


@contextmanager
def record(job: str, config: JobConfig, run_id: str | None = None, parent: str | None = None) -> Iterator[Run]:
    """Record a job as an MLflow run; an exception within the block marks the run as failed.

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
        mlflow.set_experiment(EXPERIMENT)
        if run_id is not None and _exists(run_id):
            run = mlflow.start_run(run_id)
        else:
            run = mlflow.start_run(run_name=job, tags={"raylift.job": job}, parent_run_id=parent)
            mlflow.log_params(_flat_params(config.model_dump(mode="json")))
    except mlflow.MlflowException as error:
        raise tracking_server.to_run_failed(error) from error
    recorded, status = Run(run.info.run_id), "FAILED"
    try:
        yield recorded
        status = "FINISHED"
    finally:
        recorded.end(status)
        recorded.queue.close()
        # MLflow keeps an active run of its own in this process.
        with suppress(*tracking_server.failures()), tracking_server.impatient():
            mlflow.end_run(status)


def _flat_params(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: redact(str(value)) for name, value in flatten(params).items()}


def _exists(run_id: str) -> bool:
    try:
        mlflow.get_run(run_id)
    except mlflow.MlflowException as error:
        if tracking_server.is_missing(error):
            return False
        raise
    return True
