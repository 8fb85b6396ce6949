"""A person finder that returns the whole frame: for videos of one person, and for tests."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipelines.detectors.persons.base import PersonsConfig
from pipelines.pose.upload import uploaded


class WholeFrame:
    """Returns the whole frame as the box of one person; implements `PersonFinder`."""

    weights_sha256 = ""

    def __init__(self, config: PersonsConfig, threads: int, device: str) -> None:
        pass

    def __call__(
        self, frames: UInt8[Tensor, "frames height width 3"]
    ) -> tuple[Float[Tensor, "frames slots 4"], Float[Tensor, "frames slots"]]:
        """The same box in each frame."""
        count, height, width, _ = frames.shape
        box = uploaded(torch.tensor([0.0, 0.0, width, height]), frames.device)
        return box.expand(count, 1, 4), torch.ones(count, 1, device=frames.device)
