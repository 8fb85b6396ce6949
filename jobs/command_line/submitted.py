"""What a job that runs on a cluster must not do: leave its results where they vanish with the cluster."""

import os

from schemas.errors import UserError
from schemas.job_config import JobConfig

# Set by `submit` for the job.
SUBMITTED = "RAYLIFT_SUBMITTED"
TRACKING = "MLFLOW_TRACKING_URI"
# Fields that say where a job writes.
OUTPUTS = ("output", "into")
# Of stores that are files of the machine on which the job happens to run.
_STORED_IN_FILES = ("sqlite:", "file:", "/", "./")


def require_durable_output(config: JobConfig) -> None:
    """Check where a job would write.

    Raises:
        UserError: To a folder relative to where it starts, which is one of the cluster's own.
    """
    for name in OUTPUTS:
        value = getattr(config, name, None)
        if isinstance(value, str) and "://" not in value and not value.startswith("/"):
            raise UserError(
                f"{name}={value}: on a cluster a relative path vanishes with it; give an address that outlives it, "
                "such as s3://bucket/folder, or the absolute path of a folder that all its nodes share"
            )


def require_durable_tracking(uri: str | None) -> None:
    """Check which MLflow store a job on a cluster would use.

    Raises:
        UserError: A file of one of its machines, as it is by default.
    """
    if uri is None or uri.startswith(_STORED_IN_FILES):
        shown = f"={uri}" if uri else " is not set"
        raise UserError(
            f"{TRACKING}{shown}: on a cluster MLflow's file vanishes with it; give an MLflow server, http://…:5000"
        )


def require_durable(config: JobConfig) -> None:
    """In a submitted job: both checks, before work starts; elsewhere nothing.

    Raises:
        UserError: See there.
    """
    if SUBMITTED in os.environ:
        require_durable_output(config)
        require_durable_tracking(os.environ.get(TRACKING))
