"""The base class of the configs of jobs that record a run in MLflow."""

from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.job_config import JobConfig

# MLflow's databases keep at most this many characters of a name.
_MOST_CHARACTERS = 250


def require_run_name(name: str) -> str:
    """Check that MLflow can show a name of a run in a row of its table.

    Raises:
        ValueError: MLflow cannot show the name.
    """
    if not name.strip() or len(name) > _MOST_CHARACTERS or not name.isprintable():
        raise ValueError(f"a run's name is 1 to {_MOST_CHARACTERS} characters in one line; give another")
    return name


class RunConfig(JobConfig):
    """The base of the configs of jobs that record a run in MLflow."""

    # The name does not affect the job's result: it is in no dump, so that a relaunch may give another one.
    run_name: Annotated[str, AfterValidator(require_run_name)] | None = Field(default=None, exclude=True)
    """What MLflow calls the run. If not given, as the environment variable MLFLOW_RUN_NAME says, else by the job and
    its output."""
