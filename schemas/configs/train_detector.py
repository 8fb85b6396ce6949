"""Config of the train_detector job."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from schemas.configs.resources import ResourcesConfig
from schemas.job_config import Address, JobConfig, PluginConfig, PluginTable

Share = Annotated[float, Field(ge=0, le=1)]


class NetworkConfig(JobConfig):
    """The network."""

    channels: int | None = Field(default=None, ge=1, le=128)
    """Channels of the highest-resolution branch. HRNet-W32 has 32; small machines need fewer. If not given, as in
    weights, or 32 without weights."""

    all_branches: bool | None = None
    """Predict from all branches instead of the highest-resolution one. Helps narrow networks, whose highest-resolution
    branch has fewer channels than there are joints. If not given, as in weights, or false without weights."""

    input_size: str | None = Field(default=None, pattern=r"^[1-9]\d*x[1-9]\d*$")
    """HEIGHTxWIDTH of the crops, px: multiples of 32, at least 64. If not given, as in weights, or 256x192 without
    weights."""

    sigma: Literal[1, 2, 3] | None = None
    """Standard deviation of the target heatmaps, heatmap px. If not given, as in weights; without weights 3 for inputs
    of 384x288 or more, else 2."""

    @field_validator("input_size")
    @classmethod
    def _multiples(cls, size: str | None) -> str | None:
        # Batch normalisation needs at least two by two pixels at the lowest resolution, 1/32 of the input.
        if size and any(int(side) % 32 or int(side) < 64 for side in size.split("x")):
            raise ValueError("height and width must be multiples of 32, at least 64")
        return size


class AugmentationConfig(JobConfig):
    """Random changes of each crop, new in every epoch. The defaults are those of HRNet's COCO training."""

    scale: float = Field(default=0.35, ge=0, lt=1)
    """Standard deviation of the relative scale, which is also its largest change up or down."""

    rotation_deg: float = Field(default=45.0, ge=0, le=180)
    """Standard deviation of the rotation, degrees. The largest rotation is twice that."""

    rotated: Share = 0.6
    """Share of the crops that are rotated, 0 to 1."""

    mirrored: Share = 0.5
    """Share of the crops that are mirrored, 0 to 1."""

    half_body: Share = 0.3
    """Share of the crops with more than eight known joints that show only the upper or the lower body, 0 to 1."""


class DetectorOptimizationConfig(JobConfig):
    """The optimizer and its schedule. The defaults are those of HRNet's training."""

    epochs: int = Field(default=210, ge=1)
    """Number of passes over the people."""

    batch_size: int = Field(default=128, ge=1)
    """Number of people in a batch, summed over all workers."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam in the first epoch."""

    decay_at: tuple[Share, ...] = (170 / 210, 200 / 210)
    """When the learning rate is reduced, as shares of the number of epochs."""

    decay: float = Field(default=0.1, gt=0, le=1)
    """Factor by which the learning rate is multiplied each time."""

    seed: int = Field(default=0, ge=0)
    """Random seed of weights, sample order and augmentation. The same seed gives the same network on the same kind of
    machine."""


class TrainDetectorConfig(JobConfig):
    """Config of the train_detector job, which trains HRNet, a detector of the joints of a person in a box."""

    data: Annotated[PluginConfig, PluginTable("people_sources")]
    """Labeled people to train on: coco, mpii, studio (of the synthesize job) or tracks (with their videos)."""

    validation: Annotated[PluginConfig | None, PluginTable("people_sources")] = None
    """Labeled people that select the best epoch. If not given, the last epoch is the best."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for canvases, checkpoints, best.pt, last.pt and report.json. Run the same command again to
    resume."""

    weights: Address | None = None
    """Checkpoint to start from (any URI): of this job, HRNet's authors or mmpose. If not given, random weights."""

    network: NetworkConfig = NetworkConfig()
    """The network."""

    augmentation: AugmentationConfig = AugmentationConfig()
    """Random changes of each crop."""

    optimization: DetectorOptimizationConfig = DetectorOptimizationConfig()
    """The optimizer and its schedule."""

    flip_test: bool = False
    """Also validate on the mirrored crops and average both results, as published results do. Takes twice the time."""

    max_failed: int | None = Field(default=0, ge=0)
    """Number of images and stretches of video that may be unreadable before the job ends without training; null: any
    number."""

    resources: ResourcesConfig = ResourcesConfig()
    """Number and size of the training workers."""
