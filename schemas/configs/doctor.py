"""Config of the doctor job."""

from schemas.job_config import JobConfig


class DoctorConfig(JobConfig):
    """Config of the doctor job, which has no options."""
