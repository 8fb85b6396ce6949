"""The options of `TemporalConv`, in a module without torch: `raylift train --help` reads them."""

import math

from pydantic import Field, field_validator

from schemas.job_config import JobConfig

# Half an hour at 50 frames/s; a longer window would only fill the memory.
_MOST_FRAMES = 100_000


class TemporalConvConfig(JobConfig):
    """The options of `lifter.name=temporal_conv`."""

    filter_widths: tuple[int, ...] = Field(default=(3, 3, 3, 3, 3), min_length=1, max_length=16)
    """Frames that each filter joins, odd; their product is the receptive field: 3,3,3 sees 27 frames."""

    channels: int = Field(default=1024, ge=1)
    """Channels of every hidden layer."""

    dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of hidden activations set to 0 while training; CPUs round it to 1/256."""

    causal: bool = False
    """Predict the last frame of what is seen, for live use, instead of the middle one."""

    scores: bool = False
    """Read the keypoints' scores as a third input channel."""

    dense: bool = False
    """Filters as wide as the dilated ones reach, without gaps: the paper's ablation, more weights and no better."""

    @field_validator("filter_widths")
    @classmethod
    def _odd(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(width < 1 or width % 2 == 0 for width in widths):
            raise ValueError("filter widths are odd numbers from 1 on")
        if math.prod(widths) > _MOST_FRAMES:
            raise ValueError(f"their product, the frames that are seen, is at most {_MOST_FRAMES:,}")
        return widths
