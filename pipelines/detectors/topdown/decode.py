"""Decodes heatmaps into points in heatmap pixels: the peak of each map, refined by the values around it."""

from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import pad

Decoding = Literal["quarter", "dark", "udp"]

Maps = Float[Tensor, "people joints height width"]
Points = Float[Tensor, "people joints 2"]
Scores = Float[Tensor, "people joints"]

# The width of the Gaussian kernel with which DARK and UDP smooth heatmaps, by the sigma of the training targets, px of
# the heatmap.
KERNELS = {1: 5, 2: 11, 3: 17}


def decode(maps: Maps, decoding: Decoding = "quarter", kernel: int = KERNELS[2]) -> tuple[Points, Scores]:
    """The position and the value of each map's peak.

    Args:
        maps: Heatmaps.
        decoding: quarter moves the peak by a quarter pixel towards the higher neighbour. dark (Zhang et al. 2020) and
            udp (Huang et al. 2020) take a Newton step on the logarithm of the smoothed map; they differ in how they
            treat the border and compute derivatives.
        kernel: Width of the smoothing of dark and udp, odd.

    Returns:
        (x, y) in heatmap pixels, and scores. A map without values above 0, or with NaN, gives (0, 0) and a score of
        at most 0.
    """
    points, scores = peaks(maps)
    if decoding == "quarter":
        offsets = _quarter(maps, points)
    elif decoding == "dark":
        offsets = _dark(maps, points, kernel)
    else:
        offsets = _udp(maps, points, kernel)
    has_peak = (scores > 0)[..., None]
    return torch.where(has_peak, points + offsets, points), scores


def peaks(maps: Maps) -> tuple[Points, Scores]:
    """The position (whole numbers) and the value of the highest pixel of each map."""
    width = maps.shape[3]
    scores, places = maps.flatten(2).max(2)
    broken = scores.isnan()
    scores = scores.masked_fill(broken, 0)
    points = torch.stack([places % width, places // width], -1).to(maps.dtype)
    return torch.where((scores > 0)[..., None], points, 0), scores


def _quarter(maps: Maps, points: Points) -> Points:
    right, left, below, above = _values(maps, points, ((1, 0), (-1, 0), (0, 1), (0, -1))).unbind(-1)
    offsets = 0.25 * torch.stack([right - left, below - above], -1).sign()
    # Peaks next to the border are not refined, as in the published code.
    inside = _inside(maps, points, 1)
    return torch.where(inside, offsets, 0)


def _dark(maps: Maps, points: Points, kernel: int) -> Points:
    logs = _smoothed(maps, points, 2, kernel, "constant").clamp(min=1e-10).log()
    at = logs[..., 2, 2]
    gradient = 0.5 * torch.stack([logs[..., 2, 3] - logs[..., 2, 1], logs[..., 3, 2] - logs[..., 1, 2]], -1)
    dxx = 0.25 * (logs[..., 2, 4] - 2 * at + logs[..., 2, 0])
    dyy = 0.25 * (logs[..., 4, 2] - 2 * at + logs[..., 0, 2])
    dxy = 0.25 * (logs[..., 3, 3] - logs[..., 1, 3] - logs[..., 3, 1] + logs[..., 1, 1])
    offsets = _newton(gradient, dxx, dxy, dyy)
    inside = _inside(maps, points, 2)
    return torch.where(inside, offsets, 0)


def _udp(maps: Maps, points: Points, kernel: int) -> Points:
    logs = _smoothed(maps, points, 1, kernel, "reflect").clamp(1e-3, 50).log()
    x, y = points.unbind(-1)
    # Beyond the border, the values at the border are repeated.
    (height, width), middle = maps.shape[2:], logs[..., 1]
    left = torch.where((x == 0)[..., None], middle, logs[..., 0])
    right = torch.where((x == width - 1)[..., None], middle, logs[..., 2])
    logs = torch.stack([left, middle, right], -1)
    middle = logs[..., 1, :]
    above = torch.where((y == 0)[..., None], middle, logs[..., 0, :])
    below = torch.where((y == height - 1)[..., None], middle, logs[..., 2, :])
    at = middle[..., 1]
    gradient = 0.5 * torch.stack([middle[..., 2] - middle[..., 0], below[..., 1] - above[..., 1]], -1)
    dxx = middle[..., 2] - 2 * at + middle[..., 0]
    dyy = below[..., 1] - 2 * at + above[..., 1]
    straight = middle[..., 2] + middle[..., 0] + below[..., 1] + above[..., 1]
    dxy = 0.5 * (below[..., 2] + above[..., 0] + 2 * at - straight)
    tiny = torch.finfo(torch.float32).eps
    return _newton(gradient, dxx + tiny, dxy, dyy + tiny)


def _newton(gradient: Points, dxx: Scores, dxy: Scores, dyy: Scores) -> Points:
    """The step to where the gradient is zero; no step where the Hessian cannot be inverted."""
    determinant = dxx * dyy - dxy * dxy
    across = dyy * gradient[..., 0] - dxy * gradient[..., 1]
    down = dxx * gradient[..., 1] - dxy * gradient[..., 0]
    steps = -torch.stack([across, down], -1) / determinant[..., None]
    return torch.where(steps.isfinite().all(-1, keepdim=True), steps, 0)


def _inside(maps: Maps, points: Points, margin: int) -> Bool[Tensor, "people joints 1"]:
    """Which points are right of and below the first pixels, and more than a margin before the last edge."""
    height, width = maps.shape[2:]
    x, y = points.unbind(-1)
    return ((x > 1) & (y > 1) & (x < width - margin) & (y < height - margin))[..., None]


@lru_cache
def _offsets(offsets: tuple[tuple[int, int], ...], device: torch.device) -> Int64[Tensor, "offsets 2"]:
    """Offsets on the device, to which they are copied once."""
    with torch.inference_mode(False):
        return torch.tensor(offsets, device=device)


def _values(maps: Maps, points: Points, offsets: tuple[tuple[int, int], ...]) -> Float[Tensor, "people joints offsets"]:
    """Values at offsets from whole-numbered points; beyond the border, those of the nearest pixel of the map."""
    height, width = maps.shape[2:]
    places = points.long()[:, :, None] + _offsets(offsets, maps.device)
    x, y = places[..., 0].clamp(0, width - 1), places[..., 1].clamp(0, height - 1)
    return maps.flatten(2).gather(2, y * width + x)


def _smoothed(
    maps: Maps, points: Points, reach: int, kernel: int, border: Literal["constant", "reflect"]
) -> Float[Tensor, "people joints rows columns"]:
    """The maps smoothed by a Gaussian, computed only within `reach` pixels of whole-numbered points."""
    half = kernel // 2
    margin = half + reach
    padded = pad(maps, (margin,) * 4, mode=border)
    side = torch.arange(2 * margin + 1, device=maps.device)
    x, y = points.long().unbind(-1)
    places = (y[..., None, None] + side[:, None]) * padded.shape[3] + x[..., None, None] + side
    windows = padded.flatten(2).gather(2, places.flatten(2)).unflatten(2, (len(side), len(side)))
    # OpenCV's standard deviation for a kernel of this width, which both published methods use.
    sigma = 0.3 * (0.5 * (kernel - 1) - 1) + 0.8
    taps = torch.arange(-half, half + 1, device=maps.device, dtype=maps.dtype)
    weights = torch.exp(-taps.square() / (2 * sigma * sigma))
    weights = weights / weights.sum()
    # The filter is separable, so it is a multiplication by a banded matrix from both sides.
    band = torch.stack([pad(weights, (shift, 2 * reach - shift)) for shift in range(2 * reach + 1)])
    return band @ windows @ band.T
