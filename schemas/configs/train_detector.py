"""What the train_detector job may be told."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from schemas.configs.train import ResourcesConfig
from schemas.job_config import JobConfig, PluginConfig, PluginTable

Share = Annotated[float, Field(ge=0, le=1)]


class NetworkConfig(JobConfig):
    """The net."""

    channels: int | None = Field(default=None, ge=1, le=128)
    """Of the branch of full resolution: 32 is HRNet-W32, few for small machines; none: as `weights`, or 32."""

    all_branches: bool | None = None
    """Predict from all branches, not from the finest one alone; for narrow nets, whose finest branch has fewer channels
    than there are joints; none: as `weights`, or false."""

    input_size: str | None = Field(default=None, pattern=r"^[1-9]\d*x[1-9]\d*$")
    """HEIGHTxWIDTH of the crops, pixels, multiples of 32, at least 64; none: as `weights` says, or 256x192."""

    sigma: Literal[1, 2, 3] | None = None
    """Deviation of the target heatmaps, pixels of theirs; none: as `weights` says, or 3 from 384x288 on, else 2."""

    @field_validator("input_size")
    @classmethod
    def _multiples(cls, size: str | None) -> str | None:
        # Of less than two by two pixels at the lowest resolution there is no variance to divide by.
        if size and any(int(side) % 32 or int(side) < 64 for side in size.split("x")):
            raise ValueError("height and width must be multiples of 32, at least 64")
        return size


class AugmentationConfig(JobConfig):
    """How each crop differs from epoch to epoch; the defaults are those of HRNet's COCO training."""

    scale: float = Field(default=0.35, ge=0, lt=1)
    """Standard deviation of the scale, and its largest change either way."""

    rotation_deg: float = Field(default=45.0, ge=0, le=180)
    """Standard deviation of the rotation; the largest is twice that."""

    rotated: Share = 0.6
    """Share of the crops that are rotated."""

    mirrored: Share = 0.5
    """Share of the crops that are mirrored."""

    half_body: Share = 0.3
    """Share of the crops, of those with more than eight known joints, that show the upper or lower body alone."""


class DetectorOptimizationConfig(JobConfig):
    """How the weights are found; the defaults are those of HRNet's training."""

    epochs: int = Field(default=210, ge=1)
    """Passes over the people."""

    batch_size: int = Field(default=128, ge=1)
    """People of a batch, of all workers together."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's, in the first epoch."""

    decay_at: tuple[Share, ...] = (170 / 210, 200 / 210)
    """When the learning rate falls, as shares of the epochs."""

    decay: float = Field(default=0.1, gt=0, le=1)
    """The factor by which it falls each time."""

    seed: int = Field(default=0, ge=0)
    """Of weights, order and augmentation: the same seed gives the same net on the same kind of machine."""


class TrainDetectorConfig(JobConfig):
    """Train HRNet, a detector of the joints of people in boxes, or go on with one that is trained."""

    data: Annotated[PluginConfig, PluginTable("people_sources")]
    """Labeled people to learn from: coco, mpii, studio (of jobs.synthesize) or tracks (with their videos)."""

    validation: Annotated[PluginConfig | None, PluginTable("people_sources")] = None
    """Labeled people to select the best epoch by; none: the last epoch is the best."""

    output: str = Field(min_length=1)
    """Folder (any URI) for canvases, checkpoints, best.pt, last.pt and report.json; run again to resume."""

    weights: str | None = None
    """Checkpoint to begin with (any URI): of this job, HRNet's authors or mmpose; none: fresh weights."""

    network: NetworkConfig = NetworkConfig()
    """The net."""

    augmentation: AugmentationConfig = AugmentationConfig()
    """How each crop differs from epoch to epoch."""

    optimization: DetectorOptimizationConfig = DetectorOptimizationConfig()
    """How the weights are found."""

    flip_test: bool = False
    """Validate on mirror images too and average, as published; twice the time."""

    max_failed: int | None = Field(default=0, ge=0)
    """Images, and stretches of videos, that may be unreadable before nothing is trained; null: any number."""

    resources: ResourcesConfig = ResourcesConfig()
    """Who computes."""
