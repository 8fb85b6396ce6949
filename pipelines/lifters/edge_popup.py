"""Layers whose weights stay random while a mask over them is trained: edge-popup (Ramanujan et al., CVPR 2020).

A score is learned for each weight. In the forward pass the weights with the highest scores, by their absolute value,
are kept and the others are 0; in the backward pass the gradient goes to the scores as if there were no threshold.
"""

import hashlib
import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

# The constants of the hash splitmix64 (Steele, Lea and Flood 2014), which gives the same numbers everywhere.
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class MaskedWeight(nn.Module):
    """Scores to the weights that they keep; a parametrization of a layer's `weight`.

    Args:
        constants: The weights.
        share: Share of them that is kept.
    """

    constants: Tensor

    def __init__(self, constants: Float[Tensor, "*shape"], share: float) -> None:
        super().__init__()
        self.register_buffer("constants", constants, persistent=False)
        self.dropped = int((1 - share) * constants.numel())

    def forward(self, scores: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The weights that are kept, and zeros."""
        return _StraightThrough.apply(scores, self.constants, self.dropped)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, constants: Tensor, dropped: int) -> Tensor:
        ctx.save_for_backward(scores.sign() * constants)
        return constants * keep_mask(scores, dropped)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (signed,) = ctx.saved_tensors
        return grads[0] * signed, None, None


def keep_mask(scores: Float[Tensor, "*shape"], dropped: int) -> Bool[Tensor, "*shape"]:
    """True for all but the `dropped` scores of least absolute value; of equal ones, those of lower index first."""
    size = scores.abs().flatten()
    if dropped == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    threshold = size.kthvalue(dropped).values
    above, tied = size > threshold, size == threshold
    room = len(size) - dropped - above.sum()
    from_the_end = tied.flip(0).cumsum(0).flip(0)
    return (above | (tied & (from_the_end <= room))).view_as(scores)


def mask_layer(layer: nn.Linear, name: str, share: float, seed: int) -> None:
    """Replace the trained weights of a layer by masked constants, and take its bias away.

    Args:
        layer: The layer.
        name: Tells its weights from those of other layers.
        share: Share of the weights that is kept.
        seed: Seed of the weights.
    """
    features = layer.in_features
    # This standard deviation keeps the size of activations although only this share of the summands is kept.
    scale = math.sqrt(2 / (features * share))
    with torch.no_grad():
        layer.weight.uniform_(-1 / math.sqrt(features), 1 / math.sqrt(features))
    layer.register_parameter("bias", None)
    # On the meta device, a model is built only to see its shapes before memory is allocated.
    shape = tuple(layer.weight.shape)
    constants = torch.empty(shape) if layer.weight.is_meta else signed_constants(shape, scale, name, seed)
    parametrize.register_parametrization(layer, "weight", MaskedWeight(constants, share))


def signed_constants(shape: tuple[int, ...], scale: float, name: str, seed: int) -> Float[Tensor, "*shape"]:
    """`scale` with signs that follow from name and seed alone, on every machine and in every version."""
    start = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little")
    with np.errstate(over="ignore"):
        z = np.uint64(start) + np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(_STEP)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
        negative = (z ^ (z >> np.uint64(31))) >> np.uint64(63)
    return torch.from_numpy(np.where(negative == 1, np.float32(-scale), np.float32(scale))).view(shape)
