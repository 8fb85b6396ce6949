"""Target heatmaps for training: a Gaussian at the position of each joint (docs/method.md, detector training)."""

import torch
from jaxtyping import Float
from torch import Tensor

# The Gaussian is cut off at this many sigmas.
_REACH = 3


def gaussian_targets(
    points: Float[Tensor, "people joints 2"],
    weights: Float[Tensor, "people joints"],
    heatmap_wh: tuple[int, int],
    sigma: float,
    rounded: bool = True,
) -> tuple[Float[Tensor, "people joints height width"], Float[Tensor, "people joints"]]:
    """Target heatmaps with a peak of 1, and the weights of their joints.

    Args:
        points: True positions, heatmap pixels.
        weights: Weight of each joint in the loss; 0 if its position is not known.
        heatmap_wh: Width and height of the maps.
        sigma: Standard deviation of the Gaussians, heatmap pixels.
        rounded: Centre each Gaussian on the nearest pixel, as the published training of HRNet does; otherwise on the
            exact position, as decoding by DARK or UDP needs it.

    Returns:
        The maps, and the weights, which are 0 for joints whose Gaussian lies completely outside the map.
    """
    known = points.nan_to_num()
    # Places are rounded towards zero as in the published code, so a joint up to 1.5 px outside is drawn on the border.
    nearest = torch.trunc(known + 0.5)
    reach = _REACH * sigma
    width, height = heatmap_wh
    beyond = (nearest[..., 0] - reach >= width) | (nearest[..., 1] - reach >= height)
    outside = beyond | (nearest + reach + 1 < 0).any(-1)
    places = nearest if rounded else known
    across, down = (
        _bells(torch.arange(count, device=points.device), places[..., axis], nearest[..., axis], sigma)
        for axis, count in enumerate(heatmap_wh)
    )
    weights = torch.where(outside | points.isnan().any(-1), 0, weights)
    return down[..., :, None] * across[..., None, :] * (weights > 0)[..., None, None], weights


def _bells(pixels: Tensor, places: Tensor, nearest: Tensor, sigma: float) -> Float[Tensor, "people joints pixels"]:
    """The Gaussians along one axis, cut off around the nearest pixel."""
    bells = torch.exp(-(pixels - places[..., None]).square() / (2 * sigma * sigma))
    return bells * ((pixels - nearest[..., None]).abs() <= _REACH * sigma)
