"""Config of the demo job."""

from pydantic import Field

from schemas.job_config import Address
from schemas.run_config import RunConfig


class DemoConfig(RunConfig):
    """Config of the demo job, which runs every step on synthetic people, from rendering to a page with the result."""

    output: Address = Field(default="demo", min_length=1, validate_default=True)
    """Folder on this machine for everything the demo makes. Run the same command again to resume."""

    labeled: int = Field(default=4, ge=1)
    """Number of people whose 3D poses training sees."""

    unlabeled: int = Field(default=11, ge=1)
    """Number of people of whom training sees only videos."""

    held_out: int = Field(default=9, ge=1)
    """Number of people for the test, whom no training sees. Nine perform every action of synthetic people once."""

    seconds: float = Field(default=8.0, gt=0)
    """Length of each video, seconds."""

    views: int = Field(default=2, ge=1)
    """Number of cameras around each person."""

    epochs: int = Field(default=60, ge=1)
    """Number of passes over the labeled frames."""

    channels: int = Field(default=128, ge=1)
    """Width of the lifter, channels. The published one has 1024."""

    model: str = Field(default="demo", min_length=1, validate_default=True)
    """Name of the registered model."""
