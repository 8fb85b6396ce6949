"""The loss: squared differences of heatmaps, of the joints that are known."""

from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "people joints height width"]


def heatmap_loss(
    predicted: Maps, targets: Maps, weights: Float[Tensor, "people joints"], people: float
) -> Float[Tensor, ""]:
    """Half the mean over people, joints and pixels of the squared, weighted difference.

    Args:
        predicted: Maps.
        targets: Maps.
        weights: Of the joints.
        people: By how many to divide: those given, or of a batch shared by several workers their mean number.
    """
    differences = (predicted - targets) * weights[..., None, None]
    return 0.5 * differences.square().sum() / (people * predicted[0].numel())
