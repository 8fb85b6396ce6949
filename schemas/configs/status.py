"""Config of the status job."""

from pydantic import Field

from schemas.job_config import Address, JobConfig


class StatusConfig(JobConfig):
    """Config of the status job, which reports the progress of a job from its output alone, on any machine."""

    output: Address = Field(min_length=1)
    """Folder (any URI) that a label job writes to. For the outputs of other jobs, only the job and whether it finished
    are reported. Whether a submitted job's process still runs is answered by raylift submit status ID."""

    as_json: bool = Field(default=False, alias="json")
    """Print one JSON document instead of text."""
