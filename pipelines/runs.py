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
    """A run in progress."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def log_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Log every number of nested metrics under its dotted path."""
        flat = flatten(metrics)
        mlflow.log_metrics({k: float(v) for k, v in flat.items() if isinstance(v, int | float)})

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Log facts that are no numbers, such as the digest of the output."""
        mlflow.set_tags(dict(tags))

    def log_json(self, value: Mapping[str, Any], name: str) -> None:
        """Keep a document as an artifact."""
        mlflow.log_dict(dict(value), name)


@contextmanager
def record(job: str, config: JobConfig) -> Iterator[Run]:
    """Record a job as an MLflow run; an exception marks it failed and goes on.

    Raises:
        RunFailed: The tracking store cannot be used.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        mlflow.set_experiment(EXPERIMENT)
        run = mlflow.start_run(run_name=job, tags={"raylift.job": job})
        mlflow.log_params(flatten(config.model_dump(mode="json")))
    except MlflowException as error:
        raise RunFailed(
            f"MLFLOW_TRACKING_URI={mlflow.get_tracking_uri()}: the tracking store cannot be used: "
            f"{error.message.splitlines()[0]}"
        ) from error
    with run:
        yield Run(run.info.run_id)
