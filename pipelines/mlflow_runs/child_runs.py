"""Runs that are part of another one, such as the trials of a search; few requests record one."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipelines.io.secrets import redact
from pipelines.mlflow_runs import tracking_server
from pipelines.mlflow_runs.entries import by_path, exists, flat_params, last_logged_epoch
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.retry_queue import RetryQueue
from pipelines.mlflow_runs.runs import Run, Status

# A new run's id is waited for at most this long, s. Only a note in its output depends on the id.
LONGEST_START_S = 5.0
# An entry waits at most this long, s, for others to be sent with.
LONGEST_WAIT_S = 10.0


@dataclass
class _Batch:
    """Entries that one request takes."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    # Each metric is (name, value, milliseconds since 1970, step or None).
    metrics: list[tuple[str, float, int, int | None]] = field(default_factory=list)


class ChildRun(Run):
    """A run that is part of another one.

    Its settings, metrics and tags are sent together after some seconds, or when it ends: a trial of seconds takes three
    requests, and a longer one one more each time.

    Args:
        run_id: MLflow's id of the run; empty as long as the server has not given it one.
        queue: Entries that are not sent yet, of its parent.
        params: Its settings.

    Attributes:
        has_params: Whether an earlier part of the run has logged its settings.
    """

    def __init__(self, run_id: str, queue: RetryQueue, params: Mapping[str, str]) -> None:
        super().__init__(run_id, queue)
        self.has_params = False
        self._batch, self._lock = _Batch(dict(params)), threading.Lock()
        self._timer: threading.Timer | None = None
        with self._lock:
            self._send_soon()

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log every number of nested metrics under its path, unless an earlier part of the run has done so."""
        now = int(1000 * time.time())
        with self._lock:
            self._batch.metrics += [(name, value, now, step) for name, value in by_path(metrics).items()]
            self._send_soon()

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Log texts, such as the digest of the tracks."""
        with self._lock:
            self._batch.tags.update({name: redact(value) for name, value in tags.items()})
            self._send_soon()

    def end(self, status: Status) -> None:
        """Record how the run ended."""
        self._send_batch()
        super().end(status)

    def _send_soon(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(LONGEST_WAIT_S, self._send_batch)
            self._timer.daemon = True
            self._timer.start()

    def _send_batch(self) -> None:
        with self._lock:
            batch, self._batch = self._batch, _Batch()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def send(run_id: str) -> None:
            from mlflow.entities import Metric, Param, RunTag

            new = [entry for entry in batch.metrics if entry[3] is None or entry[3] > self.logged_step]
            metrics = [Metric(name, value, timestamp_ms, step or 0) for name, value, timestamp_ms, step in new]
            # Settings of an MLflow run cannot be changed, but those of a trial of a population may have.
            params = [] if self.has_params else [Param(name, value) for name, value in batch.params.items()]
            tags = [RunTag(name, value) for name, value in batch.tags.items()]
            mlflow.MlflowClient().log_batch(run_id, metrics, params, tags)

        if batch != _Batch():
            self.send(send)


def begin_child(
    parent: Run,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    run_id: str | None = None,
    *,
    wait: bool = True,
) -> ChildRun:
    """Begin or continue a run that is part of another one; the caller must call `end` on it.

    If the server is away, the child begins once it is back, and has no `run_id` until then.

    Args:
        parent: The run that it is part of.
        name: Of the child run.
        params: Nested parameters.
        tags: To find the run by.
        run_id: The run to continue; a new one begins if the store has none of this id.
        wait: Wait some seconds for the id of the run.
    """
    child = ChildRun(run_id or "", parent.queue, flat_params(params))

    def begin() -> None:
        client = mlflow.MlflowClient()
        if run_id and exists(run_id):
            client.update_run(run_id, status="RUNNING")
            child.logged_step = last_logged_epoch(run_id)
            # A search that was killed in the first seconds of the run has not sent its settings.
            child.has_params = bool(client.get_run(run_id).data.params)
            return
        parent.experiment_id = parent.experiment_id or client.get_run(parent.run_id).info.experiment_id
        of_parent = {"mlflow.parentRunId": parent.run_id, **tags}
        child.run_id = client.create_run(parent.experiment_id, tags=of_parent, run_name=name).info.run_id

    # If the server has refused the parent, it has no place for its parts either.
    parent.send(lambda parent_id: begin())
    if wait:
        parent.queue.settle(LONGEST_START_S)
    return child


def ended_children(parent: Run) -> set[str] | None:
    """The ids of the parts of a run that have ended, as the server has them; None if it cannot tell within seconds."""
    client, ended, token = mlflow.MlflowClient(), set[str](), ""
    try:
        with tracking_server.impatient():
            place = client.get_run(parent.run_id).info.experiment_id if parent.run_id else None
            while place is not None and token is not None:
                of_parent = f"tags.mlflow.parentRunId = '{parent.run_id}'"
                page = client.search_runs([place], of_parent, max_results=1000, page_token=token or None)
                ended |= {run.info.run_id for run in page if run.info.status in ("FINISHED", "FAILED")}
                token = page.token or None
    except tracking_server.failures():
        return None
    return ended if parent.run_id else None


@contextmanager
def child(parent: Run, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[ChildRun]:
    """A part of a run that lasts as long as the block; an exception marks it as failed. See `begin_child`."""
    begun, status = begin_child(parent, name, params, tags), "FAILED"
    try:
        yield begun
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        begun.end(status)
