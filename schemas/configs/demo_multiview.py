"""Config of the demo_multiview job."""

from pydantic import Field

from schemas.job_config import Address
from schemas.run_config import RunConfig


class DemoMultiviewConfig(RunConfig):
    """Config of the demo_multiview job, which labels with several cameras and trains a lifter for single ones."""

    output: Address = Field(default="demo-multiview", min_length=1, validate_default=True)
    """Folder on this machine for everything the demo makes. Run the same command again to resume."""

    labeled: int = Field(default=18, ge=1)
    """Number of people who are filmed by all cameras at once, and labeled by that."""

    held_out: int = Field(default=9, ge=1)
    """Number of people for the test, whom no training sees. Nine perform every action of synthetic people once."""

    seconds: float = Field(default=5.0, gt=0)
    """Length of each video, seconds."""

    views: int = Field(default=2, ge=2, le=8)
    """Number of cameras around each person, on half of the circle."""

    epochs: int = Field(default=10, ge=1)
    """Number of passes over the labeled frames."""

    model: str = Field(default="two-phones", min_length=1, validate_default=True)
    """Name of the registered model."""
