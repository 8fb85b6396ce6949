"""What MLflow has of a run: its numbers by path, its parameters as texts, and how far it has come."""

from collections.abc import Mapping
from typing import Any

from pipelines.io.secrets import redact
from pipelines.mlflow_runs import names, tracking_server
from pipelines.mlflow_runs.lazy import mlflow
from schemas.job_config import flatten
from schemas.plain_yaml import load_plain

# The metric that each epoch of a training has, whatever it trains.
EPOCH_METRIC = "train/loss_total"


def by_path(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of nested metrics by their paths, such as "validation/mpjpe_mm"; a yes or no is a setting."""
    return {
        names.allowed(path.replace(".", "/")): float(value)
        for path, value in flatten(metrics).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def flat_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Nested parameters as MLflow gets them: texts by dotted path, without the secrets of addresses."""
    return {names.allowed(name): redact(str(value)) for name, value in flatten(params).items()}


def addresses_in(value: Any) -> list[str]:
    """The addresses in a parameter as MLflow gives it back: a text, the text of a list, or nothing."""
    if isinstance(value, str) and value.startswith("["):
        value = load_plain(value)
    if value is None or value == "None":
        return []
    return [value] if isinstance(value, str) else [str(uri) for uri in value]


def last_logged_epoch(run_id: str) -> int:
    """The last epoch that a run has; 0 if there is none.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    # Version 0.1.0 joined the parts of names with dots.
    for metric in (EPOCH_METRIC, "loss.total"):
        if history := mlflow.MlflowClient().get_metric_history(run_id, metric):
            return max(entry.step for entry in history)
    return 0


def exists(run_id: str) -> bool:
    """Whether the store has a run that is not deleted.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    try:
        return mlflow.get_run(run_id).info.lifecycle_stage == "active"
    except mlflow.MlflowException as error:
        if tracking_server.is_missing(error):
            return False
        raise
