"""Names that MLflow takes; those of metrics may come from data, as of the action "Sit (on a chair)"."""

import os
import re

from pipelines.io.secrets import redact
from schemas.errors import UserError
from schemas.run_config import RunConfig, require_run_name

# Environment variable, also MLflow's own, with the name of a run.
_VARIABLE = "MLFLOW_RUN_NAME"
# What MLflow takes in them, and how long they may be.
_REFUSED = re.compile(r"[^\w.\- :]")
_LONGEST = 250


def allowed(name: str) -> str:
    """The name, with what MLflow refuses in it replaced by `_`; parts are those of a path and joined by slashes."""
    parts = ("_" if part in ("", ".", "..") else _REFUSED.sub("_", part) for part in name.split("/"))
    return "/".join(parts)[:_LONGEST]


def of_run(job: str, config: RunConfig, within: bool) -> str:
    """What a run is called: as the user says, who means the outermost run, else its job and its output's last folder.

    Args:
        job: The job.
        config: Its config.
        within: Whether the run is part of another one of this process.

    Raises:
        UserError: MLflow cannot show the name.
    """
    if config.run_name:
        return redact(config.run_name)
    named = os.environ.get(_VARIABLE)
    if within or not named:
        folder = str(getattr(config, "output", "")).rstrip("/").rsplit("/", 1)[-1]
        return redact(f"{job} {folder}".strip())
    try:
        return redact(require_run_name(named))
    except ValueError as error:
        raise UserError(f"{_VARIABLE}={named[:40]!r}: {error}") from error
