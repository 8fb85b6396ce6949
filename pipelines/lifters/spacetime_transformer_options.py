"""The options of `SpacetimeTransformer`, in a module without torch: `raylift train --help` reads them."""

from typing import Literal

from pydantic import Field, model_validator

from schemas.job_config import JobConfig


class SpacetimeTransformerConfig(JobConfig):
    """The options of `lifter.name=spacetime_transformer`; published DSTformers are settings of it."""

    clip: int = Field(default=243, ge=2, le=100_000)
    """Frames of a clip: rows of the position embedding over time."""

    channels: int = Field(default=256, ge=1)
    """Channels of a token."""

    depth: int = Field(default=5, ge=1, le=1000)
    """Blocks, each of attention over the joints of a frame and over the frames of a joint."""

    heads: int = Field(default=8, ge=1)
    """Heads of the attention; a divisor of channels."""

    mlp_ratio: float = Field(default=4.0, gt=0, le=1000)
    """Hidden channels of the perceptrons, relative to channels."""

    streams: Literal["dual", "single"] = "dual"
    """dual: joints first and frames first, side by side, fused with learned weights; single: joints first alone, half
    the cost."""

    representation: int = Field(default=512, ge=0)
    """Channels before the head; 0: no such layer."""

    scores: bool = True
    """Read the keypoints' scores as a third input channel; keypoints of score 0 are missing."""

    bone_bias: bool = True
    """Learn how much joints attend to each other by the number of bones between them."""

    causal: bool = False
    """A frame attends only to itself and earlier frames of its clip."""

    frame_step: float = Field(default=1.0, ge=0.01, le=1000)
    """Rows of the position embedding from one frame to the next: 2 for embeddings that were learned at twice the frame
    rate."""

    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Share of samples for which the last block is skipped in training; of earlier blocks proportionally fewer."""

    mask_joints: float = Field(default=0.05, ge=0, lt=1)
    """Share of keypoints that are hidden in training; needs scores."""

    mask_frames: float = Field(default=0.1, ge=0, lt=1)
    """Share of frames that are hidden in training; needs scores."""

    @property
    def frames(self) -> int:
        """Most frames of a clip, at its frame rate."""
        return int((self.clip - 1) / self.frame_step) + 1

    @model_validator(mode="after")
    def _fits(self) -> "SpacetimeTransformerConfig":
        if self.channels % self.heads:
            raise ValueError(f"heads={self.heads} must divide channels={self.channels}")
        if self.frames < 2:
            raise ValueError(f"frame_step={self.frame_step:g} leaves no two frames of clip={self.clip}; give less")
        return self
