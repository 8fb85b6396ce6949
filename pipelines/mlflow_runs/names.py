"""Names that MLflow takes; those of metrics may come from data, as of the action "Sit (on a chair)"."""

import os
import re

from pipelines.io.secrets import redact
from pipelines.mlflow_runs.model_names import REGISTERED
from schemas.errors import UserError
from schemas.run_config import RunConfig, require_run_name

# This tag holds the description at the top of MLflow's page of an experiment, a run or a logged model.
DESCRIPTION_TAG = "mlflow.note.content"
# The environment variable with the name of a run, which MLflow reads too.
_VARIABLE = "MLFLOW_RUN_NAME"
# MLflow refuses names with other characters than these, and longer ones.
_REFUSED = re.compile(r"[^\w.\- :]")
_LONGEST = 250


def allowed(name: str) -> str:
    """The name with the characters that MLflow refuses replaced by `_`; slashes join its parts."""
    parts = ("_" if part in ("", ".", "..") else _REFUSED.sub("_", part) for part in name.split("/"))
    return "/".join(parts)[:_LONGEST]


def of_run(job: str, config: RunConfig, within: bool) -> str:
    """The name of a run: the user's, which is for the outermost run, else the job and what it works on.

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
        return redact(" ".join([job, *_what(config)]))
    try:
        return redact(require_run_name(named))
    except ValueError as error:
        raise UserError(f"{_VARIABLE}={named[:40]!r}: {error}") from error


def of_model(address: str) -> str:
    """What people call a model: a registered one's name, `folder-best` of a training, the folder of other files."""
    if match := REGISTERED.fullmatch(address):
        return match["name"]
    folder, _, file = redact(address).rstrip("/").rpartition("/")
    if not folder or not file.endswith(".pt"):
        return file
    name = folder.rpartition("/")[2]
    return f"{name}-{file.removesuffix('.pt')}" if file in ("best.pt", "last.pt") else name


def _what(config: RunConfig) -> list[str]:
    """The last folder of the output; where none is given, the name of a registration and the lifter."""
    if folder := str(getattr(config, "output", None) or "").rstrip("/").rsplit("/", 1)[-1]:
        return [folder]
    name, model = getattr(config, "name", None), getattr(config, "model", None)
    return [*([str(name)] if name else []), *([of_model(model)] if model else [])]
