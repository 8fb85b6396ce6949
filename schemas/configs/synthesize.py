"""Config of the synthesize job."""

from typing import Annotated

from pydantic import Field

from schemas.job_config import Address, JobConfig

# H.264 in its usual 4:2:0 form halves the colour planes, so sides must be even.
EvenPixels = Annotated[int, Field(ge=64, le=4096, multiple_of=2)]


class FilmConfig(JobConfig):
    """What makes synthetic films as hard to see in as real ones; by default they are as clear as can be."""

    shutter: float = Field(default=0.0, ge=0, le=1)
    """Part of a frame's time for which the shutter is open: what moves is blurred over it. 0.5 is usual for films."""

    crf: int = Field(default=19, ge=0, le=51)
    """Constant rate factor of H.264: 19 shows no loss, at 28 details are lost, at 35 whole limbs smear."""

    distance: float = Field(default=1.0, ge=1, le=8)
    """How many times farther away cameras are than where people fill the picture."""

    furniture_in_front: int = Field(default=0, ge=0, le=8)
    """Pieces of furniture between each camera and the people, which hide parts of them."""


class SynthesizeConfig(FilmConfig):
    """Config of the synthesize job, which renders videos of synthetic people with exact 2D and 3D poses."""

    output: Address = Field(min_length=1)
    """Folder on this machine for videos/, truth/ and manifest.csv."""

    people: int = Field(default=4, ge=1)
    """Number of people. Each performs one action."""

    seconds: float = Field(default=10.0, gt=0, le=3600)
    """Length of each video, seconds."""

    views: int = Field(default=2, ge=1, le=32)
    """Number of cameras around each scene. Each gives one video of the same performance."""

    arc_deg: float = Field(default=360.0, gt=0, le=360)
    """Part of the circle around the scene over which the cameras are spread, degrees: 180 puts two of them at about a
    right angle, as several cameras that label must be; 360 puts them face to face."""

    people_per_video: int = Field(default=1, ge=1, le=8)
    """Number of people who share a scene."""

    actions: tuple[str, ...] = ()
    """Actions, assigned to the people in turn; empty: all actions."""

    fps: float = Field(default=30.0, ge=1, le=240)
    """Frame rate of the videos, frames per second."""

    width: EvenPixels = 640
    """Width of the videos, pixels."""

    height: EvenPixels = 640
    """Height of the videos, pixels."""

    seed: int = Field(default=0, ge=0)
    """Random seed of people, motions, places and cameras. The same seed gives the same videos."""

    workers: int = Field(default=0, ge=0)
    """Number of videos rendered at a time, each in its own process; 0: one per CPU."""
