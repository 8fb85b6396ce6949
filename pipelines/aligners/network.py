"""The network that embeds frames: dilated convolutions over the frames around each, and nothing of where they are.

Padding would mark the ends of a track, and positions would let the network count frames; therefore it sees whole
windows alone, and whoever embeds a whole track repeats its first and last pose.
"""

import math

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from pipelines.aligners.sequences import RATE, Sequence
from pipelines.tracks.normalised import LIMBS
from schemas.configs.train_aligner import AlignerNetworkConfig
from schemas.errors import UserError

# More frames would let the network count.
_LONGEST = 27
_INPUTS = 2 * len(LIMBS)


class Aligner(nn.Module):
    """Embeds each frame of normalised keypoints.

    Args:
        config: Its options.

    Raises:
        UserError: It would see too many frames, or as many before as after.
    """

    def __init__(self, config: AlignerNetworkConfig) -> None:
        super().__init__()
        widths = config.filter_widths
        self.window = math.prod(widths)
        if self.window > _LONGEST or any(width % 2 == 0 for width in widths):
            raise UserError(
                f"network.filter_widths={list(widths)}: odd widths whose product is at most {_LONGEST} are needed, or "
                "the network would count frames; give [3,3] or [3,3,3]"
            )
        channels, dilation, layers = _INPUTS, 1, []
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

    @torch.no_grad()
    def embed(self, person: Sequence) -> Float32[Tensor, "frames dimensions"]:
        """An embedding of every frame of a recording; the network must be in evaluation mode.

        Raises:
            UserError: The poses are lifted ones, or fewer than the network sees at once.
        """
        if person.poses.shape[-1] != 2:
            raise UserError("aligner: embeds keypoints; give tracks=… in place of poses=…")
        if len(person) < self.window:
            raise UserError(
                f"track {person.track_id}: lasts {len(person) / RATE:.2f} s, and the aligner sees "
                f"{self.window / RATE:.2f} s at once; give a longer one"
            )
        poses = torch.from_numpy(person.poses.reshape(1, len(person), -1))
        before, after = (poses[:, end].expand(-1, self.window // 2, -1) for end in (slice(0, 1), slice(-1, None)))
        return self(torch.cat([before, poses, after], dim=1))[0]
