"""Every job is an MLflow run: flat config, metrics, the digest of its output, artifacts. MLflow's one importer here.

The store is what `MLFLOW_TRACKING_URI` names, else MLflow's own default, `sqlite:///mlflow.db`.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from schemas.config import JobConfig, flatten
from schemas.errors import RunFailed

EXPERIMENT = "raylift"


class Run:
    """A run in progress; may be spoken to from any thread."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log every number of nested metrics under its dotted path, of one step if there are several."""
        flat = flatten(metrics)
        mlflow.log_metrics(
            {k: float(v) for k, v in flat.items() if isinstance(v, int | float)}, step=step, run_id=self.run_id
        )

    def last(self, metric: str) -> float | None:
        """The newest value of a metric; None if it was never logged."""
        return mlflow.get_run(self.run_id).data.metrics.get(metric)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Log facts that are no numbers, such as the digest of the output."""
        for name, value in tags.items():
            mlflow.MlflowClient().set_tag(self.run_id, name, value)

    def log_json(self, value: Mapping[str, Any], name: str) -> None:
        """Keep a document as an artifact."""
        mlflow.log_dict(dict(value), name, run_id=self.run_id)

    def log_page(self, html: str, name: str) -> None:
        """Keep a page as an artifact; MLflow's own pages show it."""
        mlflow.log_text(html, name, run_id=self.run_id)

    def log_file(self, path: str, folder: str | None = None) -> None:
        """Keep a file of this machine as an artifact, in a folder if one is named."""
        mlflow.log_artifact(path, folder, run_id=self.run_id)


@contextmanager
def record(job: str, config: JobConfig, run_id: str | None = None, parent: str | None = None) -> Iterator[Run]:
    """Record a job as an MLflow run; an exception marks it failed and goes on.

    Args:
        job: Its name.
        config: Becomes the run's parameters.
        run_id: A run to continue, of the same config; a new one is begun if the store has none of this id.
        parent: The run that this one is part of.

    Raises:
        RunFailed: The tracking store cannot be used.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        mlflow.set_experiment(EXPERIMENT)
        if run_id is not None and _exists(run_id):
            run = mlflow.start_run(run_id)
        else:
            run = mlflow.start_run(run_name=job, tags={"raylift.job": job}, parent_run_id=parent)
            mlflow.log_params(flatten(config.model_dump(mode="json")))
    except MlflowException as error:
        raise RunFailed(
            f"MLFLOW_TRACKING_URI={mlflow.get_tracking_uri()}: the tracking store cannot be used: "
            f"{error.message.splitlines()[0]}"
        ) from error
    with run:
        yield Run(run.info.run_id)


def _exists(run_id: str) -> bool:
    try:
        mlflow.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True
