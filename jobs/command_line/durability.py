"""Checks that the results of a job on a cluster outlive the cluster."""

import os
from collections.abc import Sequence

from jobs.command_line.arguments import read_config
from schemas.errors import UserError
from schemas.job_config import JobConfig

# `submit` sets it in the environment of the job that it starts.
SUBMITTED = "RAYLIFT_SUBMITTED"
TRACKING = "MLFLOW_TRACKING_URI"
# Fields that say where a job writes.
OUTPUT_FIELDS = ("output", "into")
# MLflow stores with these addresses are files of one machine.
_FILE_STORES = ("sqlite:", "file:", "/", "./")


def require_durable_output(config: JobConfig) -> None:
    """Refuse an output folder that is relative: on a cluster it would lie on one of the cluster's machines.

    Args:
        config: The job's config, read with `resolve=str`, which leaves addresses as they were typed.

    Raises:
        UserError: The output folder is relative.
    """
    for name in OUTPUT_FIELDS:
        value = getattr(config, name, None)
        if isinstance(value, str) and "://" not in value and not value.startswith("/"):
            raise UserError(
                f"{name}={value}: on a cluster a relative path vanishes with it; give an address that outlives it, "
                "such as s3://bucket/folder, or the absolute path of a folder that all its nodes share"
            )


def require_durable_tracking(uri: str | None) -> None:
    """Refuse an MLflow store that is a file, as MLflow's default is: it would lie on one of the cluster's machines.

    Raises:
        UserError: The MLflow store is a file, or no store is named.
    """
    if uri is None or uri.startswith(_FILE_STORES):
        shown = f"={uri}" if uri else " is not set"
        raise UserError(
            f"{TRACKING}{shown}: on a cluster MLflow's file vanishes with it; give an MLflow server, http://…:5000"
        )


def require_durable_if_submitted(model: type[JobConfig], arguments: Sequence[str]) -> None:
    """Make both checks where `submit` started this process; elsewhere do nothing.

    Args:
        model: The job's config class.
        arguments: Its command line.

    Raises:
        UserError: A check fails.
    """
    if SUBMITTED in os.environ:
        # The addresses are checked as they were typed, because a relative one cannot be recognised once it is absolute.
        require_durable_output(read_config(model, arguments, resolve=str))
        require_durable_tracking(os.environ.get(TRACKING))
