"""What the demo may be told."""

from pydantic import Field

from schemas.config import JobConfig


class DemoConfig(JobConfig):
    """Synthesize a small corpus, label it, compare with the truth."""

    output: str = "demo"
    """Local folder for the videos and the labels."""

    people: int = Field(default=3, ge=1)
    """Synthetic people."""

    seconds: float = Field(default=6.0, gt=0)
    """Length of each video, s."""

    views: int = Field(default=2, ge=1)
    """Cameras around each person."""
