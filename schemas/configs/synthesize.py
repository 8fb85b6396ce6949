"""Config of the synthesize job."""

from typing import Annotated

from pydantic import Field

from schemas.job_config import JobConfig

# H.264 in its usual 4:2:0 form halves the colour planes: sides are even.
EvenPixels = Annotated[int, Field(ge=64, le=4096, multiple_of=2)]


class SynthesizeConfig(JobConfig):
    """Videos of synthetic people in motion."""

    output: str = Field(min_length=1)
    """Folder on this machine for videos/, truth/ and manifest.csv."""

    people: int = Field(default=4, ge=1)
    """How many people; each performs one action."""

    seconds: float = Field(default=10.0, gt=0, le=3600)
    """Length of each video, seconds."""

    views: int = Field(default=2, ge=1, le=32)
    """Cameras around each scene; each gives one video of the same performance."""

    people_per_video: int = Field(default=1, ge=1, le=8)
    """People who share a scene."""

    actions: tuple[str, ...] = ()
    """What they do, person after person in turn; empty: every action there is."""

    fps: float = Field(default=30.0, ge=1, le=240)
    """Frames per second."""

    width: EvenPixels = 640
    """Width of the videos, pixels."""

    height: EvenPixels = 640
    """Height of the videos, pixels."""

    seed: int = Field(default=0, ge=0)
    """Another seed gives other people, motions, places and cameras; the same one the same again."""

    workers: int = Field(default=0, ge=0)
    """Videos rendered at a time, a process each; 0: one per CPU."""
