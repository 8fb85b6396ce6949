"""What the status job may be told."""

from pydantic import Field

from schemas.job_config import JobConfig


class StatusConfig(JobConfig):
    """Say how far the job that writes to an output is, from the output alone: any machine that reads it will do."""

    output: str = Field(min_length=1)
    """Folder (any URI) that a label job writes to; of other jobs' outputs it says whose they are, and if finished. What
    came of the work is told here; `raylift submit status ID` asks a cluster whether a submitted job's process runs."""

    as_json: bool = Field(default=False, alias="json")
    """Print one JSON document instead of a screen."""
