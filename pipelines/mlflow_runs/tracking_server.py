"""The MLflow server that `MLFLOW_TRACKING_URI` names: asked once for a quick answer before a job relies on it.

MLflow repeats a failed request for minutes. That is right in the middle of a job of hours, and wrong at its start,
where the address may be mistyped.
"""

import hashlib
import logging
import os
import re
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock

from pipelines.io.secrets import redact
from pipelines.mlflow_runs.lazy import mlflow
from schemas.errors import RunFailed

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException

# A small query takes milliseconds, so an answer is waited for this long, s; with one retry, a busy server has twice
# this time.
_TIMEOUT_S = 5
_ONE_RETRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
_IMPATIENT = {**_ONE_RETRY, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_TIMEOUT_S)}
# MLflow's own output is off, because jobs show their own progress and the addresses of their runs.
_QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
# If no database answers, MLflow tries to connect ten times for minutes each, so its port is tried first.
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}

# The cause stands at the end of urllib3's message about a failed connection.
_CAUSE = re.compile(r"""Caused by \w+\(["'][^:]*?\([^)]*\): (.*?)["']\)""")

# What MLflow says of a server that nobody reaches, or that is about to come back.
_AWAY = re.compile(r"failed with (timeout )?exception|failed with error code (429|5\d\d)")

# The answers of servers with accounts, and what to do about them.
_STATUS = re.compile(r"failed with error code (401|403)")
_REFUSED = {
    "401": (
        "it wants to know who asks",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to what it knows",
    ),
    "403": ("this account may not do that", "ask for the right to edit the experiment, or name another one"),
}
_CERTIFICATE = "set MLFLOW_TRACKING_SERVER_CERT_PATH to the file of the authority that has signed it"

_lock = threading.Lock()
_reached: set[tuple[str, str]] = set()


class ServerAway(RunFailed):
    """Nobody answers at the server's address: it may come back, or the address is mistyped."""


def connect(*, registry: bool = False) -> None:
    """Make MLflow quiet, and check once per process that its server answers.

    Args:
        registry: Check the server of registered models too, which may be another one.

    Raises:
        RunFailed: A server does not answer within seconds (`ServerAway`), or refuses.
    """
    mlflow.get_tracking_uri()  # imports MLflow now, because that sets the levels of its loggers
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of a server that is away, jobs say so in a line of their own; this one would say it at each try.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with _lock, impatient():
        try:
            if (runs := ("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())) not in _reached:
                ask()
                _reached.add(runs)
            if registry and (models := ("MLFLOW_REGISTRY_URI", mlflow.get_registry_uri())) not in _reached:
                with _alone_in(models[1]):
                    _try_place(models[1])
                    mlflow.MlflowClient().search_registered_models(max_results=1)
                _reached.add(models)
        except failures() as error:
            raise to_run_failed(error) from error


def ask() -> None:
    """Ask the tracking server for something small; raises one of `failures()` if it does not answer within seconds."""
    with impatient(), _alone_in(mlflow.get_tracking_uri()):
        _try_place(mlflow.get_tracking_uri())
        mlflow.MlflowClient().get_experiment_by_name("raylift")


@contextmanager
def one_retry() -> Iterator[None]:
    """Let MLflow repeat a failed request once within the block: for callers that repeat failed entries themselves."""
    with _environment(_ONE_RETRY):
        yield


@contextmanager
def impatient() -> Iterator[None]:
    """Give servers seconds to answer within the block, unless the user's environment variables say otherwise."""
    with _environment(_IMPATIENT):
        yield


def failures() -> tuple[type[Exception], ...]:
    """The exceptions of a server that cannot be used, and of its artifact store."""
    return (mlflow.MlflowException, OSError)


def is_invalid_request(error: Exception) -> bool:
    """Whether the server works and has rejected the request: a bug of ours."""
    return isinstance(error, mlflow.MlflowException) and error.error_code == "INVALID_PARAMETER_VALUE"


def is_missing(error: "MlflowException") -> bool:
    """Whether the server works and has no such run, model or version."""
    return error.error_code == "RESOURCE_DOES_NOT_EXIST"


def to_run_failed(error: Exception) -> RunFailed:
    """The exception of ours for a server that failed: its address and the reason in one line."""
    reason = error.message.strip().splitlines()[0] if isinstance(error, mlflow.MlflowException) else str(error)
    is_away = isinstance(error, OSError) or _AWAY.search(reason) is not None
    if cause := _CAUSE.search(reason):
        reason = cause[1]
    tracking, registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    where = address()
    if urlsplit(tracking).scheme in ("sqlite", "file", ""):
        is_away = False  # files do not come back
    if registry != tracking:
        where += f", MLFLOW_REGISTRY_URI={redact(registry)}"
    fix = "check that it runs and that this is its address"
    if (refused := _STATUS.search(reason)) is not None:
        reason, fix = _REFUSED[refused[1]]
    elif "CERTIFICATE_VERIFY_FAILED" in reason:
        reason, fix = "its certificate is signed by nobody known here", _CERTIFICATE
        is_away = False
    return (ServerAway if is_away else RunFailed)(f"{where}: the tracking server cannot be used: {reason}; {fix}")


def address() -> str:
    """The address of the tracking server, as a setting, without its password."""
    return f"MLFLOW_TRACKING_URI={redact(mlflow.get_tracking_uri())}"


def runs_page(experiment_id: str) -> str | None:
    """What the addresses of the pages of an experiment's runs begin with; None if no server shows them."""
    parts = urlsplit(mlflow.get_tracking_uri())
    if parts.scheme not in ("http", "https") or not experiment_id:
        return None
    host = parts.netloc.rpartition("@")[2]  # without a password
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}/#/experiments/{experiment_id}/runs/"


def registry_place() -> str:
    """Where registered models are looked for: the file of a local database, else the address of the server."""
    address = mlflow.get_registry_uri()
    if urlsplit(address).scheme != "sqlite":
        return redact(address)
    # The folder is shown by itself, because the terminal drops the working directory only from file names.
    folder, name = os.path.split(_database_file(address))
    return f"{name} of {folder}"


def place_of_files() -> str | None:
    """The folder for files of runs, beside a local database, if the working directory cannot be written; else None.

    MLflow itself would put them into the working directory.
    """
    address = mlflow.get_tracking_uri()
    if urlsplit(address).scheme != "sqlite":
        return None
    try:
        tempfile.TemporaryFile(dir=".").close()
    except OSError:
        return os.path.join(os.path.dirname(_database_file(address)), "mlruns")
    return None


def _database_file(address: str) -> str:
    # The path begins after three slashes; if it is absolute, it has one more.
    return os.path.abspath(urlsplit(address).path[1:])


def _try_place(address: str) -> None:
    """Connect to the port of a database, or check that the folder of a SQLite file can be written.

    Raises:
        OSError: The place cannot be used; MLflow would try for minutes.
    """
    parts = urlsplit(address)
    scheme = parts.scheme.partition("+")[0]
    port = _DATABASE_PORTS.get(scheme)
    if port is not None and parts.hostname:
        socket.create_connection((parts.hostname, parts.port or port), _TIMEOUT_S).close()
    if scheme == "sqlite":
        file = _database_file(address)
        try:
            tempfile.TemporaryFile(dir=os.path.dirname(file)).close()
        except OSError as error:
            raise OSError(f"{file} cannot be written; give MLFLOW_TRACKING_URI=sqlite:////FOLDER/mlflow.db") from error


@contextmanager
def _alone_in(address: str) -> Iterator[None]:
    """Keep other jobs of this user out of a local database that has no tables yet: MLflow makes them without a lock.

    Where two jobs make them at a time, each finds half of the other's, and fails.
    """
    if urlsplit(address).scheme != "sqlite":
        yield
        return
    # One of 16 files: they stay, and databases may be many. Beside the database it would stay in the user's folder.
    name = hashlib.sha256(_database_file(address).encode()).hexdigest()[:1]
    with FileLock(os.path.join(tempfile.gettempdir(), f"raylift-{os.getuid()}-{name}.lock")):
        yield


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within the block, except those that the user has set."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)  # another thread may have left such a block meanwhile
