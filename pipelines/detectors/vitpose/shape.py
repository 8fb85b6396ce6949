"""The size of a ViTPose, described without PyTorch and transformers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=65_536)]
Depth = Annotated[int, Field(ge=1, le=1000)]


class VitposeShape(BaseModel):
    """The size of a ViTPose, without its joints and its input size."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    width: Count
    """Channels of a token."""

    depth: Depth
    """Layers."""

    heads: Count
    """Attention heads, which share the channels."""

    mlp_ratio: Count = 4
    """Channels within a layer's feed-forward network, as a multiple of the width."""

    simple_head: bool
    """Whether the head is one upsampling and one convolution, instead of two transposed convolutions."""
