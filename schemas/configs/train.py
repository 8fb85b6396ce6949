"""Config of the train job."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from schemas.configs.made_views import MadeViewsConfig
from schemas.configs.resources import ResourcesConfig, Share
from schemas.job_config import Address, Addresses, JobConfig, ModelAddress, PluginConfig, PluginTable
from schemas.run_config import RunConfig
from schemas.text_form import Factor

Weight = Annotated[float, Field(ge=0)]
ErrorMetric = Literal["mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm", "trajectory_mm", "bone_length_error_mm"]
"""Errors on held-out people by which models are chosen, mm (MPJVE: mm per frame)."""
ERROR_NAMES: Mapping[ErrorMetric, str] = {
    "mpjpe_mm": "MPJPE",
    "p_mpjpe_mm": "P-MPJPE",
    "n_mpjpe_mm": "N-MPJPE",
    "mpjve_mm": "MPJVE",
    "trajectory_mm": "trajectory error",
    "bone_length_error_mm": "bone length error",
}
LifterInput = Literal["screen", "person_centred"]
"""How a lifter is given keypoints: as places on the screen, or as rays around the person."""


class DataConfig(JobConfig):
    """Which tracks are used, and how they become samples."""

    subjects: tuple[str, ...] | None = None
    """Labeled subjects to train on. If not given, all except validation_subjects."""

    validation_subjects: tuple[str, ...] = ()
    """Labeled subjects that select the best epoch; they are not trained on. People whom you report results of must not
    be among them."""

    actions: tuple[str, ...] | None = None
    """Labeled actions to use, by whole names or their first words. If not given, all."""

    unlabeled_subjects: tuple[str, ...] | None = None
    """Subjects of the unlabeled tracks to use. If not given, all."""

    subset: Share = 1.0
    """Share of each labeled sequence to train on, one contiguous stretch, 0 to 1."""

    subset_start: Literal["hash", "first"] = "hash"
    """Where that stretch begins: hash (a place computed from the sequence's length, as in the paper's experiments), or
    first (the first frame)."""

    input: LifterInput = "screen"
    """How the lifter is given keypoints: screen (where they are in the picture), or person_centred (as viewing rays
    around the person, so that place and size in the picture, and the camera, do not matter)."""

    input_layout: str | None = None
    """Joints that the lifter reads, a layout such as limbs12. If not given, those of the labeled tracks."""

    world: MadeViewsConfig = MadeViewsConfig()
    """Made views of the labeled motion."""

    fps: float | None = Field(default=None, gt=0)
    """Frame rate of training, frames per second, to which all tracks are resampled. If not given, that of the labeled
    tracks."""

    downsample: int = Field(default=1, ge=1)
    """Keep only every n-th frame. The lifter's frame rate is lower by the same factor."""

    chunk: int | None = Field(default=None, ge=1)
    """Number of consecutive frames that one sample predicts. If not given, 1, or a whole clip of a lifter that takes
    clips."""

    mirroring: Literal["both", "random", "none"] = "both"
    """Mirrored samples: both (each sample twice per epoch, once mirrored), random (each once, mirrored half of the
    time), or none."""

    pool_frames: int = Field(default=5_000_000, ge=1)
    """Most unlabeled frames that a worker keeps in memory, about 600 bytes each. If there are more, the frames kept are
    replaced step by step while training."""


class ObjectiveConfig(JobConfig):
    """The loss: errors of labeled poses and trajectories, reprojection and bone lengths of unlabeled predictions."""

    projection: Literal["full", "linear", "fitted", "orthographic", "none"] = "full"
    """How unlabeled predictions are projected to compare them with their keypoints: full (with distortion) and linear
    from where the lifter's trajectory has the person, fitted from where the pose fits the keypoints best, without a
    trajectory; all three need camera intrinsics, orthographic does not. With none they are not compared."""

    warmup_epochs: int = Field(default=1, ge=0)
    """Number of first epochs that use labeled data only, until predictions are good enough to be compared with
    keypoints. With unlabeled tracks, the best model is chosen among the epochs after them."""

    pose: Weight = 1.0
    """Weight of the labeled pose error (MPJPE)."""

    scale_free: Weight = 0.0
    """Weight of the labeled pose error after the best scale per frame (N-MPJPE)."""

    velocity: Weight = 0.0
    """Weight of the labeled error of the joints' velocities, m/s, between the frames that a sample predicts. 0.4 is the
    20 per frame at 50 frames/s of MotionBERT."""

    trajectory: Weight = 1.0
    """Weight of the labeled trajectory error, in which each frame is weighted by the inverse of its depth."""

    reprojection: Weight = 1.0
    """Weight of the unlabeled reprojection error."""

    bone_length: Weight = 1.0
    """Weight of the difference between the mean bone lengths of labeled and unlabeled predictions."""

    confidence_weighted: bool = False
    """Weight reprojection errors by keypoint scores. Interpolated keypoints, whose score is 0, then do not count."""


class OptimizationConfig(JobConfig):
    """The optimizer and its schedule."""

    epochs: int = Field(default=80, ge=1)
    """Number of passes over the labeled samples. A training that is given more than before goes on."""

    batch_size: int = Field(default=1024, ge=1)
    """Number of predicted frames in a labeled batch, summed over all workers. An unlabeled batch has as many."""

    accumulate: int = Field(default=1, ge=1)
    """Number of parts of a batch that each worker computes one after another before it changes the weights, which takes
    the memory of one part. Batch norm normalises each part by itself, and bone lengths are compared within it."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of the first epoch."""

    learning_rate_decay: float = Field(default=0.95, gt=0, le=1)
    """Factor by which the learning rate is multiplied after every epoch."""

    learning_rate_factors: tuple[Factor, ...] = ()
    """Learning rates of some parameters relative to the others, by name or pattern: [pose.*=0.1, *.bias=0]; the last
    that fits counts. 0 freezes them, and the statistics of frozen batch norms."""

    learning_rate_warmup_epochs: float = Field(default=0.0, ge=0)
    """Number of first epochs in which the learning rate rises, step by step, from nothing."""

    amsgrad: bool = True
    """Use the AMSGrad variant of Adam."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of the weights of matrix products, relative to the learning rate and apart from the gradient (AdamW). Other
    weights, such as biases and position embeddings, do not decay."""

    average_decay: float | None = Field(default=None, gt=0, lt=1)
    """Validate and save an exponential moving average of the weights that keeps this share of itself in every step,
    such as 0.999. If not given, the weights themselves."""

    clip_gradient_norm: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient; longer gradients are scaled down to it. If not given, gradients are not clipped."""

    seed: int = Field(default=0, ge=0)
    """Random seed of weights, sample order and dropout. The same seed gives the same model on the same kind of
    machine."""


class TrainingConfig(JobConfig):
    """What a training consists of, apart from its data; shared by the train, tune and compare jobs."""

    lifter: Annotated[PluginConfig, PluginTable("lifters")] = PluginConfig(name="temporal_conv")
    """The network that lifts 2D keypoints to 3D poses."""

    trajectory: bool | None = None
    """Also train a network for the trajectory of the root. If not given, it is trained when there are unlabeled
    tracks."""

    data: DataConfig = DataConfig()
    """Which tracks are used, and how they become samples."""

    objective: ObjectiveConfig = ObjectiveConfig()
    """The loss."""

    optimization: OptimizationConfig = OptimizationConfig()
    """The optimizer and its schedule."""

    resources: ResourcesConfig = ResourcesConfig()
    """Number and size of the training workers."""


class TrainConfig(TrainingConfig, RunConfig):
    """Config of the train job, which trains a lifter on labeled tracks, with or without unlabeled ones."""

    labeled: Addresses
    """Labeled tracks: a file or folder (any URI), or a list."""

    unlabeled: Addresses | None = None
    """Unlabeled tracks, as the label job writes them: a file or folder (any URI), or a list. Labels in them are
    ignored."""

    weights: ModelAddress | None = None
    """Lifter to start from: a file (any URI) that train, import_lifter or tune wrote, models:/NAME@ALIAS,
    models:/NAME/VERSION, or everyday. Its lifter, trajectory, data.input, data.input_layout and data.fps count unless
    others are given. If not given, random weights."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for checkpoints, best.pt, last.pt and report.json. Run the same command again to resume."""

    metric: ErrorMetric = "mpjpe_mm"
    """Error on data.validation_subjects by which the best epoch is chosen."""

    @property
    def warmup_epochs(self) -> int:
        """First epochs without unlabeled tracks; the best model is chosen after them. 0 in a supervised training."""
        return 0 if self.unlabeled is None else self.objective.warmup_epochs
