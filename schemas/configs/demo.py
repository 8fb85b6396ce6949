"""What the demo may be told."""

from pydantic import Field

from schemas.job_config import JobConfig


class DemoConfig(JobConfig):
    """The whole story on synthetic people, from filming to a page to look at."""

    output: str = Field(default="demo", min_length=1)
    """Folder on this machine for everything; run again to resume."""

    labeled: int = Field(default=4, ge=1)
    """People whose 3D poses are known to training."""

    unlabeled: int = Field(default=11, ge=1)
    """People of whom training sees videos only."""

    held_out: int = Field(default=9, ge=1)
    """People that no training sees: the test; nine do all that synthetic people can do."""

    seconds: float = Field(default=8.0, gt=0)
    """Length of each video, s."""

    views: int = Field(default=2, ge=1)
    """Cameras around each person."""

    epochs: int = Field(default=60, ge=1)
    """Passes over the labeled frames."""

    channels: int = Field(default=128, ge=1)
    """Width of the lifter; the paper's has 1024."""

    model: str = Field(default="demo", min_length=1)
    """Name under which the lifters are registered."""
