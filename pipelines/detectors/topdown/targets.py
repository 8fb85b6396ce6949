"""Target heatmaps for training: a Gaussian at the position of each joint (docs/method.md, detector training)."""

import torch
from jaxtyping import Float
from torch import Tensor

# The Gaussian ends at this many sigmas.
_REACH = 3


def gaussian_targets(
    points: Float[Tensor, "people joints 2"],
    weights: Float[Tensor, "people joints"],
    heatmap_wh: tuple[int, int],
    sigma: float,
    rounded: bool = True,
) -> tuple[Float[Tensor, "people joints height width"], Float[Tensor, "people joints"]]:
    """Target maps of height 1, and the weights of their joints.

    Args:
        points: True places, pixels of the heatmap.
        weights: How much each joint counts; 0 if its place is not known.
        heatmap_wh: Width and height of the maps.
        sigma: Deviation of the Gaussians, pixels of the heatmap.
        rounded: Put each Gaussian on the nearest pixel, as the published training of HRNet; otherwise on the place
            itself, as for decoding by DARK or UDP.

    Returns:
        The maps, and the weights: 0 for joints whose Gaussian lies wholly outside.
    """
    size = points.new_tensor(heatmap_wh)
    known = points.nan_to_num()
    # Towards zero, as the published code: a joint less than a pixel and a half outside is drawn on the border.
    nearest = torch.trunc(known + 0.5)
    reach = _REACH * sigma
    outside = ((nearest - reach >= size) | (nearest + reach + 1 < 0)).any(-1)
    places = nearest if rounded else known
    across, down = (
        _bells(torch.arange(count, device=points.device), places[..., axis], nearest[..., axis], sigma)
        for axis, count in enumerate(heatmap_wh)
    )
    weights = torch.where(outside | points.isnan().any(-1), 0, weights)
    return down[..., :, None] * across[..., None, :] * (weights > 0)[..., None, None], weights


def _bells(pixels: Tensor, places: Tensor, nearest: Tensor, sigma: float) -> Float[Tensor, "people joints pixels"]:
    """One side of separable Gaussians, cut off around the nearest pixel."""
    bells = torch.exp(-(pixels - places[..., None]).square() / (2 * sigma * sigma))
    return bells * ((pixels - nearest[..., None]).abs() <= _REACH * sigma)
