"""The protocol of an aligner's network, which embeds frames of keypoints, and functions that build and apply one."""

from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from pipelines import registry
from pipelines.aligners.sequences import RATE, Sequence
from pipelines.tracks.normalised import LIMBS
from schemas.errors import UserError
from schemas.job_config import JobConfig, PluginConfig

# Largest window of a network, in frames. With a longer one it could learn to count frames instead of comparing poses.
LONGEST = 27
# The numbers that describe a pose: x and y of each limb's joints, in trunk sizes.
COORDINATES = 2 * len(LIMBS)


@runtime_checkable
class AlignerNetwork(Protocol):
    """A `torch.nn.Module` that is built from its options."""

    Config: ClassVar[type[JobConfig]]
    """The options under `network.` in a job's config."""

    window: int
    """Number of frames, at 15 frames/s, that an embedding sees; odd. The embedding is that of the middle frame."""

    def __init__(self, config: Any) -> None:
        """Build it with fresh weights."""
        ...

    def __call__(self, poses: Float[Tensor, "batch frames coordinates"]) -> Float[Tensor, "batch windows dimensions"]:
        """The embedding of the middle frame of each window; windows = frames - window + 1.

        Args:
            poses: The limbs relative to the middle of the trunk, in trunk sizes: x and y of each joint.
        """
        ...


def build_network(config: PluginConfig) -> AlignerNetwork:
    """The network that a config names, with fresh weights.

    Raises:
        UserError: There is no such network, or it would see too many frames.
        pydantic.ValidationError: The network has no such options.
    """
    plugin = registry.load_network(registry.ALIGNERS, "network", config.name, "pipelines.aligners.base")
    network = cast(type[AlignerNetwork], plugin)
    built = network(network.Config(**config.options))
    window = getattr(built, "window", None)
    if not (isinstance(window, int) and window % 2 == 1 and 0 < window <= LONGEST):
        raise UserError(
            f"network.name={config.name}: window={window}: must be the frames that an embedding sees, an odd number up "
            f"to {LONGEST}, or the network would count frames"
        )
    return built


@torch.no_grad()
def embed(network: AlignerNetwork, person: Sequence) -> Float32[Tensor, "frames dimensions"]:
    """An embedding of every frame of a recording; its first and last poses are repeated beyond the ends.

    Args:
        network: In evaluation mode, on the CPU.
        person: The recording.

    Raises:
        UserError: The poses are lifted ones, or fewer than the network sees at once.
    """
    if person.poses.shape[-1] != 2:
        raise UserError("aligner: embeds keypoints; give tracks=… in place of poses=…")
    window = network.window
    if len(person) < window:
        raise UserError(
            f"track {person.track_id}: lasts {len(person) / RATE:.2f} s, and the aligner sees {window / RATE:.2f} s at "
            "once; give a longer one"
        )
    poses = torch.from_numpy(person.poses.reshape(1, len(person), -1))
    before, after = (poses[:, end].expand(-1, window // 2, -1) for end in (slice(0, 1), slice(-1, None)))
    return network(torch.cat([before, poses, after], dim=1))[0]
