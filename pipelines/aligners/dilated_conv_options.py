"""The options of `DilatedConv`, in a module without torch: `raylift train_aligner --help` reads them."""

from typing import Annotated

from pydantic import Field

from schemas.job_config import JobConfig

FilterWidth = Annotated[int, Field(ge=1, le=9)]


class DilatedConvConfig(JobConfig):
    """The options of `network.name=dilated_conv`."""

    filter_widths: tuple[FilterWidth, ...] = Field(default=(3, 3), min_length=1, max_length=16)
    """Widths of the convolutions, odd. Their product is the number of frames that are seen, at 15 frames/s: 9 by
    default, at most 27."""

    channels: int = Field(default=128, ge=1)
    """Hidden units."""

    dimensions: int = Field(default=64, ge=2)
    """Numbers of an embedding."""
