"""What the compare job may be told."""

from typing import Self

from pydantic import Field, model_validator

from schemas.configs.train import TrainingConfig
from schemas.job_config import JobConfig


class MotionCaptureConfig(JobConfig):
    """How motion capture without video is filmed and detected."""

    views: int = Field(default=4, ge=1, le=32)
    """Cameras around each motion."""

    noise_px: float = Field(default=5.0, ge=0)
    """Standard deviation of the 2D error, px at an image width of 1000; heavy-tailed."""

    fps: float = Field(default=60.0, gt=0)
    """Frames per second of the motion."""


class CompareConfig(TrainingConfig):
    """Train the same lifter twice, without and with the unlabeled tracks, and score both on the same test."""

    mocap: str | None = None
    """npz of motion capture (source mocap17 of import_poses), which is filmed by made cameras first."""

    tracks: str | None = None
    """Labeled tracks that exist already, instead of mocap."""

    test_subjects: tuple[str, ...] = Field(min_length=1)
    """Whom to score on; nobody trains on them, labeled or not."""

    filming: MotionCaptureConfig = MotionCaptureConfig()
    """How mocap is filmed."""

    output: str = Field(min_length=1)
    """Folder for tracks/, supervised/, semi_supervised/ and comparison.json; run again to resume."""

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
