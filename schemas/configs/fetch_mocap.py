"""Config of the fetch_mocap job."""

from typing import ClassVar

from pydantic import Field, field_validator

from schemas.job_config import Address, JobConfig

ADDRESS = "http://mocap.cs.cmu.edu/subjects"


class FetchMocapConfig(JobConfig):
    """Config of the fetch_mocap job, which downloads motion capture of Carnegie Mellon University."""

    BARE_FIELD: ClassVar[str | None] = "output"

    output: Address = Field(min_length=1)
    """Folder on this machine for motion.npz, which import_poses reads, and for the files that it is made of. Run the
    same command again to go on after an interruption."""

    subjects: tuple[str, ...] = Field(default=("07", "35"), min_length=1)
    """Numbers of people, as mocap.cs.cmu.edu has them: 07 and 35 walk and run."""

    pages: Address = Field(default=ADDRESS, validate_default=True)
    """Where the folders of the subjects are: CMU's own pages, or a copy of them."""

    @field_validator("subjects")
    @classmethod
    def _numbers(cls, subjects: tuple[str, ...]) -> tuple[str, ...]:
        """CMU's folders have two digits or more."""
        for subject in subjects:
            if not (subject.isascii() and subject.isdigit()):
                raise ValueError(f"{subject} is no number of a person; give numbers such as 07 or 135")
        return tuple(dict.fromkeys(f"{int(subject):02d}" for subject in subjects))
