"""The MLflow server that `MLFLOW_TRACKING_URI` names: quiet, and known to answer before anything waits for it.

MLflow repeats a request for minutes: right in the middle of a job of hours, wrong at its start with a mistyped address.
"""

import logging
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import mlflow
from mlflow.exceptions import MlflowException

from pipelines.io.secrets import redact
from schemas.errors import RunFailed

# A small query answers within milliseconds; a busy server has two of these.
_TIMEOUT_S = 5
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_TIMEOUT_S)}
# Jobs draw their own progress and name their own runs.
_QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
# MLflow connects to a database ten times, minutes each where nobody is; so its port is tried first.
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}

# The end of what urllib3 tells of a connection that failed.
_CAUSE = re.compile(r"""Caused by \w+\(["'][^:]*?\([^)]*\): (.*?)["']\)""")

# What a server that cannot be used raises: its own answers, and what its store of artifacts has to say.
FAILURES = (MlflowException, OSError)

_lock = threading.Lock()
_reached: set[tuple[str, str]] = set()


def connect(*, registry: bool = False) -> None:
    """Make MLflow quiet, and see once per process that its server answers.

    Args:
        registry: Whether registered models are asked for too; they may have a server of their own.

    Raises:
        RunFailed: It does not, within seconds.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with _lock, impatient():
        try:
            if (runs := ("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())) not in _reached:
                _try_port(runs[1])
                mlflow.MlflowClient().get_experiment_by_name("raylift")
                _reached.add(runs)
            if registry and (models := ("MLFLOW_REGISTRY_URI", mlflow.get_registry_uri())) not in _reached:
                _try_port(models[1])
                mlflow.MlflowClient().search_registered_models(max_results=1)
                _reached.add(models)
        except FAILURES as error:
            raise failed(error) from error


@contextmanager
def impatient() -> Iterator[None]:
    """Within the block a server has seconds to answer, unless the user's own variables give it more."""
    with _environment(_IMPATIENT):
        yield


def is_mistake(error: MlflowException | OSError) -> bool:
    """Whether the server works, and was told nonsense: our bug."""
    return isinstance(error, MlflowException) and error.error_code == "INVALID_PARAMETER_VALUE"


def failed(error: MlflowException | OSError) -> RunFailed:
    """What a job ends with when the server failed it: the address and the reason, a line."""
    reason = error.message.strip().splitlines()[0] if isinstance(error, MlflowException) else str(error)
    if caused := _CAUSE.search(reason):
        reason = caused[1]
    runs, models = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    address = f"MLFLOW_TRACKING_URI={redact(runs)}"
    if models != runs:
        address += f", MLFLOW_REGISTRY_URI={redact(models)}"
    return RunFailed(
        f"{address}: the tracking server cannot be used: {reason}; see that it runs and that this is its address"
    )


def _try_port(address: str) -> None:
    """Connect to a database's port."""
    parts = urlsplit(address)
    port = _DATABASE_PORTS.get(parts.scheme.partition("+")[0])
    if port is not None and parts.hostname:
        socket.create_connection((parts.hostname, parts.port or port), _TIMEOUT_S).close()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that hold within the block; what the user has set stays."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
