"""An aligner of dilated convolutions over the frames around each frame, without their position in the track.

Padding would mark the ends of a track, and positions would let the network count frames; therefore it sees whole
windows alone.
"""

import math
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pipelines.aligners.base import COORDINATES, LONGEST
from pipelines.aligners.dilated_conv_options import DilatedConvConfig
from schemas.errors import UserError


class DilatedConv(nn.Module):
    """Embeds each frame of normalised keypoints.

    Args:
        config: Its options.

    Raises:
        UserError: The network would see too many frames, or not as many before the middle one as after it.
    """

    Config: ClassVar = DilatedConvConfig

    def __init__(self, config: DilatedConvConfig) -> None:
        super().__init__()
        widths = config.filter_widths
        self.window = math.prod(widths)
        if self.window > LONGEST or any(width % 2 == 0 for width in widths):
            raise UserError(
                f"network.filter_widths={list(widths)}: odd widths whose product is at most {LONGEST} are needed, or "
                "the network would count frames; give [3,3] or [3,3,3]"
            )
        channels, dilation, layers = COORDINATES, 1, []
        for width in widths:
            layers += [nn.Conv1d(channels, config.channels, width, dilation=dilation)]
            layers += [nn.BatchNorm1d(config.channels), nn.ReLU()]
            channels, dilation = config.channels, dilation * width
        self.seeing = nn.Sequential(*layers)
        self.thinking = nn.Sequential(nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels), nn.ReLU())
        self.out = nn.Linear(channels, config.dimensions)

    def forward(self, poses: Float[Tensor, "batch frames coordinates"]) -> Float[Tensor, "batch windows dimensions"]:
        """The embedding of the middle frame of each window."""
        hidden = self.seeing(poses.mT)
        return self.out((hidden + self.thinking(hidden)).mT)
