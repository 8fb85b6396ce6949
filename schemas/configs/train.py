"""What the train job may be told."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.job_config import JobConfig, PluginConfig, PluginTable

Share = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


class DataConfig(JobConfig):
    """Which tracks, and how they become samples."""

    subjects: tuple[str, ...] | None = None
    """Labeled subjects to train on; none: all but those held out for validation."""

    validation_subjects: tuple[str, ...] = ()
    """Labeled subjects to select the best epoch by: training subjects held out, never the test's."""

    actions: tuple[str, ...] | None = None
    """Labeled actions, whole names or their first words; none: all."""

    unlabeled_subjects: tuple[str, ...] | None = None
    """Subjects of the unlabeled tracks; none: all."""

    subset: Share = 1.0
    """Share of each labeled sequence to train on, contiguous."""

    subset_start: Literal["hash", "first"] = "hash"
    """Where the subset begins: hash (by the sequence's length, as the paper's experiments), or first frame."""

    fps: float | None = Field(default=None, gt=0)
    """Frames per second of training, to which all tracks are resampled; none: those of the labeled tracks."""

    downsample: int = Field(default=1, ge=1)
    """Train on every such frame: the lifter's frame rate is as many times lower."""

    chunk: int = Field(default=1, ge=1)
    """Consecutive frames predicted by one sample."""

    mirroring: Literal["both", "random", "none"] = "both"
    """both: each sample twice an epoch, once mirrored; random: once, by a coin; none."""

    pool_frames: int = Field(default=5_000_000, ge=1)
    """Most unlabeled frames of a pool, per worker; more stream through pools. A frame takes about 600 bytes."""


class ObjectiveConfig(JobConfig):
    """The loss: labeled pose + trajectory + reprojection and bone lengths of unlabeled predictions."""

    projection: Literal["full", "linear", "orthographic", "none"] = "full"
    """How unlabeled predictions are compared with their keypoints: full (distortion) and linear need intrinsics,
    orthographic needs none; none: not at all."""

    warmup_epochs: int = Field(default=1, ge=0)
    """Epochs on labeled data alone, before unlabeled predictions are worth comparing."""

    pose: Weight = 1.0
    """Weight of the labeled pose error (MPJPE)."""

    trajectory: Weight = 1.0
    """Weight of the labeled trajectory error, each frame by one over its depth."""

    reprojection: Weight = 1.0
    """Weight of the unlabeled reprojection error."""

    bone_length: Weight = 1.0
    """Weight of the gap between labeled and unlabeled mean bone lengths."""

    confidence_weighted: bool = False
    """Weight reprojection errors by keypoint scores; interpolated keypoints (score 0) then count nothing."""


class OptimizationConfig(JobConfig):
    """How the weights are found."""

    epochs: int = Field(default=80, ge=1)
    """Passes over the labeled samples."""

    batch_size: int = Field(default=1024, ge=1)
    """Predicted frames of a labeled batch, of all workers together; an unlabeled batch has as many."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of the first epoch."""

    learning_rate_decay: float = Field(default=0.95, gt=0, le=1)
    """Factor on the learning rate after every epoch."""

    amsgrad: bool = True
    """Adam's AMSGrad variant."""

    clip_gradient_norm: float | None = Field(default=None, gt=0)
    """Longest gradient, by its norm; none: any."""

    seed: int = Field(default=0, ge=0)
    """Of weights, order and dropout: the same seed gives the same model on the same kind of machine."""


class ResourcesConfig(JobConfig):
    """Who computes."""

    num_workers: int = Field(default=1, ge=1)
    """Processes that share each batch."""

    cpus_per_worker: int | None = Field(default=None, ge=1)
    """CPUs, and so threads, of a worker; none: what the machine has, shared by its workers."""

    use_gpu: bool = False
    """One GPU for each worker."""

    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Precision of the matrix products; auto: bf16 on GPUs that have it, float32 elsewhere."""

    compile: bool = False
    """Compile the model (torch.compile): a slow first step, faster ones after it on GPUs."""

    max_restarts: int = Field(default=3, ge=0)
    """How often dead workers are replaced, each time from the last checkpoint."""


class TrainingConfig(JobConfig):
    """What a training is, whatever data it is given."""

    lifter: Annotated[PluginConfig, PluginTable("lifters")] = PluginConfig(name="temporal_conv")
    """The lifter."""

    trajectory: bool | None = None
    """Train a second lifter for the root's trajectory; none: if there are unlabeled tracks."""

    data: DataConfig = DataConfig()
    """Which tracks, and how they become samples."""

    objective: ObjectiveConfig = ObjectiveConfig()
    """The loss."""

    optimization: OptimizationConfig = OptimizationConfig()
    """How the weights are found."""

    resources: ResourcesConfig = ResourcesConfig()
    """Who computes."""


class TrainConfig(TrainingConfig):
    """Train a lifter of 2D keypoints over time to 3D poses, with or without unlabeled tracks."""

    labeled: str | tuple[str, ...]
    """Labeled tracks: a file or folder (any URI), or a list."""

    unlabeled: str | tuple[str, ...] | None = None
    """Unlabeled tracks, as `label` writes them; labels that they have are not looked at."""

    output: str = Field(min_length=1)
    """Folder (any URI) for checkpoints, best.pt, last.pt and report.json; run again to resume."""
