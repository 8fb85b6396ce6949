"""Config of the fit_noise job."""

from typing import Annotated

from pydantic import Field

from schemas.configs.synthesize import EvenPixels, FilmConfig
from schemas.job_config import Address, Addresses, PluginConfig, PluginTable
from schemas.run_config import RunConfig


class FitNoiseConfig(RunConfig, FilmConfig):
    """Config of the fit_noise job, which measures the errors of a keypoint detector on people whose joints are known.

    Without `tracks`, synthetic people are filmed and the detector is run on them.
    """

    output: Address = Field(min_length=1)
    """Folder for recipe.yaml, with the errors as a training draws them, and report.json."""

    tracks: Addresses | None = None
    """Labeled tracks with cameras, whose keypoints the detector found: a file or folder (any URI), or a list."""

    motion: Addresses | None = None
    """Labeled tracks that will be trained on: the joint map leads from their skeletons to the detector's. If not given,
    it leads from the skeletons of the people that were measured."""

    detector: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="movenet_blazepose")
    """The detector that is run on the synthetic people."""

    people: int = Field(default=24, ge=1)
    """Number of synthetic people. Each performs one action."""

    views: int = Field(default=2, ge=1, le=32)
    """Number of cameras around each of them."""

    seconds: float = Field(default=4.0, ge=2.0, le=3600)
    """Length of each video, seconds."""

    fps: float = Field(default=30.0, ge=5, le=240)
    """Frame rate of the videos, frames per second."""

    width: EvenPixels = 640
    """Width of the videos, pixels."""

    height: EvenPixels = 640
    """Height of the videos, pixels."""

    seed: int = Field(default=0, ge=0)
    """Random seed of the synthetic people."""
