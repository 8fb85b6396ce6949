"""Config of the compare job."""

from typing import Self

from pydantic import Field, model_validator

from schemas.configs.train import TrainingConfig
from schemas.job_config import Address, JobConfig, ModelAddress
from schemas.run_config import RunConfig


class MotionCaptureConfig(JobConfig):
    """How motion capture without video is turned into 2D keypoints."""

    views: int = Field(default=4, ge=1, le=32)
    """Number of simulated cameras around each motion."""

    noise_px: float = Field(default=5.0, ge=0)
    """Standard deviation of the simulated keypoint error, px at an image width of 1000; the errors are heavy-tailed."""

    fps: float = Field(default=60.0, gt=0)
    """Frame rate of the motion, frames per second."""


class CompareConfig(TrainingConfig, RunConfig):
    """Config of the compare job, which trains a lifter without and with unlabeled tracks and scores both."""

    mocap: Address | None = None
    """Motion capture to start from: an npz file as import_poses reads it (source mocap17). Either this or tracks."""

    tracks: Address | None = None
    """Labeled tracks to start from: a file or folder (any URI). Either this or mocap."""

    weights: ModelAddress | None = None
    """Lifter that both trainings start from, as in train. If not given, random weights."""

    test_subjects: tuple[str, ...] = Field(min_length=1)
    """Subjects to score on. Neither training uses them, labeled or unlabeled."""

    filming: MotionCaptureConfig = MotionCaptureConfig()
    """How mocap is turned into 2D keypoints."""

    output: Address = Field(min_length=1)
    """Folder for tracks/, supervised/, semi_supervised/ and comparison.json. Run the same command again to resume."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.mocap is None) == (self.tracks is None):
            raise ValueError("give mocap=… (an npz) or tracks=… (labeled tracks), one of them")
        return self

    @model_validator(mode="after")
    def _test_is_apart(self) -> Self:
        for name in ("subjects", "validation_subjects", "unlabeled_subjects"):
            chosen = getattr(self.data, name)
            if chosen is None:
                raise ValueError(f"data.{name} must be named, or the test's subjects would be among them")
            if both := set(chosen) & set(self.test_subjects):
                raise ValueError(f"test_subjects: {', '.join(sorted(both))} is in data.{name} too")
        return self
