"""The loss of heatmap training: mean squared differences of the labeled joints' heatmaps (Sun et al. 2019)."""

from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "people joints height width"]


def heatmap_loss(
    predicted: Maps, targets: Maps, weights: Float[Tensor, "people joints"], people: float
) -> Float[Tensor, ""]:
    """Half the mean over people, joints and pixels of the squared, weighted difference.

    Args:
        predicted: Predicted heatmaps.
        targets: Target heatmaps.
        weights: Weight of each joint: 0 where it is not labeled.
        people: The number of people to divide by; in a batch shared by several workers their mean number per worker.
    """
    differences = (predicted - targets) * weights[..., None, None]
    return 0.5 * differences.square().sum() / (people * predicted[0].numel())
