"""The base class of the configs of jobs that record a run in MLflow."""

from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.job_config import JobConfig

# MLflow's databases keep at most as many.
_MOST_CHARACTERS = 250


def require_run_name(name: str) -> str:
    """Check that MLflow can show a name of a run in a row of its table.

    Raises:
        ValueError: It cannot.
    """
    if not name.strip() or len(name) > _MOST_CHARACTERS or not name.isprintable():
        raise ValueError(f"a run's name is 1 to {_MOST_CHARACTERS} characters in one line; give another")
    return name


class RunConfig(JobConfig):
    """The base of the configs of jobs that record a run in MLflow."""

    # No setting of the job: it is in no dump, so that a relaunch may give another one.
    run_name: Annotated[str, AfterValidator(require_run_name)] | None = Field(default=None, exclude=True)
    """What MLflow calls the run. If not given, as the environment variable MLFLOW_RUN_NAME says, else by the job and
    its output."""
