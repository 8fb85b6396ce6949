"""Config of the train_aligner job."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.configs.resources import ResourcesConfig
from schemas.job_config import Address, Addresses, JobConfig, PluginConfig, PluginTable
from schemas.ranges import PositiveRange
from schemas.run_config import RunConfig

PairsOf = Literal["action", "take"]


class AlignerDataConfig(JobConfig):
    """Which recordings are pairs, and how they become samples."""

    pairs: PairsOf = "action"
    """Which two tracks form a pair: those of one action (its first word, whoever does it), or of one take (subject and
    action, which several cameras have filmed at the same time: the same stretch is taken of both)."""

    validation_subjects: tuple[str, ...] = ()
    """Subjects that select the best epoch."""

    frames: int = Field(default=20, ge=4)
    """Frames of a recording that a sample takes, in order of time."""

    stretch_s: float = Field(default=8.0, gt=0)
    """Longest part of a recording that they are taken of, seconds. Longer ones hold the same phase several times."""

    speed: PositiveRange = (0.8, 1.25)
    """Least and greatest speed at which the frames around each are seen."""

    noise: float = Field(default=0.03, ge=0)
    """Standard deviation of the noise of joints, trunk sizes."""

    mirroring: bool = True
    """Mirror both recordings of a pair half of the time."""


class AlignerObjectiveConfig(JobConfig):
    """Temporal cycle-consistency: how a frame must be found back through another recording."""

    loss: Literal["classification", "regression_mse", "regression_mse_var", "regression_huber"] = "regression_mse_var"
    """How it is scored whether a frame finds back to itself: as the right one among all frames (classification), or by
    how far the expected time is from its own (regression: squared, squared and divided by the variance, or
    Huber's)."""

    similarity: Literal["l2", "dot"] = "l2"
    """How alike two embeddings are: by their Euclidean distance (l2) or their scalar product (dot)."""


class AlignerOptimizationConfig(JobConfig):
    """The optimizer and its schedule."""

    epochs: int = Field(default=20, ge=1)
    """Number of epochs."""

    steps: int = Field(default=200, ge=1)
    """Steps of an epoch."""

    batch_pairs: int = Field(default=8, ge=1)
    """Pairs of recordings in a step, of all workers."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate."""

    weight_decay: float = Field(default=1e-5, ge=0)
    """Decay of the weights, apart from the gradient (AdamW)."""

    seed: int = Field(default=0, ge=0)
    """Random seed of weights and samples. The same seed gives the same aligner on the same kind of machine."""


class TrainAlignerConfig(RunConfig):
    """Config of the train_aligner job, which trains embeddings in which recordings of one action are in step."""

    tracks: Addresses
    """Keypoint tracks with the column action: a file or folder (any URI), or a list. They need no labels."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for checkpoints, best.pt, last.pt and report.json. Run the same command again to resume."""

    network: Annotated[PluginConfig, PluginTable("aligners")] = PluginConfig(name="dilated_conv")
    """The network that embeds frames: dilated_conv, or package.module:Class. It sees nothing of where they are in the
    track, so that it cannot count them."""

    data: AlignerDataConfig = AlignerDataConfig()
    """Which recordings are pairs, and how they become samples."""

    objective: AlignerObjectiveConfig = AlignerObjectiveConfig()
    """The loss."""

    optimization: AlignerOptimizationConfig = AlignerOptimizationConfig()
    """The optimizer and its schedule."""

    resources: ResourcesConfig = ResourcesConfig()
    """Number and size of the training workers."""
