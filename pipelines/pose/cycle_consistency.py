"""Temporal cycle-consistency (Dwibedi et al. 2019): embeddings in which frames find back through another recording.

Each frame of one recording has a soft nearest neighbour in another one, a mean of its frames weighted by similarity.
Seen from there, the frame that was come from must be the nearest of its recording: found as one of many
(`classification`), or by its time, which is expected with a mean and a variance (`regression_*`).
"""

from itertools import permutations
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Loss = Literal["classification", "regression_mse", "regression_mse_var", "regression_huber"]
Similarity = Literal["l2", "dot"]

# The published settings.
_TEMPERATURE, _SMOOTHING, _VARIANCE_WEIGHT, _HUBER = 0.1, 0.1, 0.001, 0.1
# The variance of an expected time is at least this; otherwise a certain frame would divide by zero.
_LEAST_VARIANCE = 1e-8


def cycle_loss(
    embeddings: Float[Tensor, "recordings frames channels"],
    times: Float[Tensor, "recordings frames"],
    loss: Loss = "regression_mse_var",
    similarity: Similarity = "l2",
) -> Float[Tensor, ""]:
    """The mean over the frames of all ordered pairs of recordings, of which there are at least two.

    Args:
        embeddings: Of frames in order of time.
        times: When the frames are shown, as a share of the length of their recording.
        loss: How a frame must be found back.
        similarity: By the Euclidean distance or the scalar product of embeddings.
    """
    pairs = list(permutations(range(len(embeddings)), 2))
    first, second = (embeddings[list(side)] for side in zip(*pairs, strict=True))
    own_times = times[[pair[0] for pair in pairs]]
    neighbours = similarities(first, second, similarity).softmax(-1) @ second
    logits = similarities(neighbours, first, similarity)
    if loss == "classification":
        count = logits.shape[1]
        labels: Int64[Tensor, " frames"] = torch.arange(count, device=logits.device).repeat(len(pairs))
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels, label_smoothing=_SMOOTHING)
    weights = logits.softmax(-1)
    expected = (weights * own_times[:, None]).sum(-1)
    if loss == "regression_mse":
        return (own_times - expected).square().mean()
    if loss == "regression_huber":
        return torch.nn.functional.huber_loss(expected, own_times, delta=_HUBER)
    variance = (weights * (own_times[:, None] - expected[..., None]).square()).sum(-1)
    log_variance = variance.clamp_min(_LEAST_VARIANCE).log()
    squares = (own_times - expected).square()
    return ((-log_variance).exp() * squares + _VARIANCE_WEIGHT * log_variance).mean()


def similarities(
    first: Float[Tensor, "pairs frames channels"],
    second: Float[Tensor, "pairs others channels"],
    similarity: Similarity,
) -> Float[Tensor, "pairs frames others"]:
    """How similar each frame of the one is to each of the other, divided by channels and temperature."""
    products = first @ second.mT
    if similarity == "l2":
        squares = first.square().sum(-1)[..., None] + second.square().sum(-1)[:, None]
        products = -(squares - 2 * products).clamp_min(0)
    return products / (first.shape[-1] * _TEMPERATURE)
