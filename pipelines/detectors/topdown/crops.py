"""Cuts crops of people out of frames, and maps points between frame and crop, for all people of many frames at once."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

# Boxes are enlarged by this factor before they are cut out, as when the published weights were trained.
PADDING = 1.25
# Mean and standard deviation of RGB values divided by 255 on ImageNet, which all published weights expect.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)

Points = Float[Tensor, "people joints 2"]
Matrices = Float[Tensor, "people 2 3"]


@dataclass(frozen=True)
class CropBoxes:
    """Upright rectangles with the aspect ratio of the network's input.

    Attributes:
        centres: Their centres, frame pixels.
        sizes: Their widths and heights, frame pixels.
    """

    centres: Float[Tensor, "people 2"]
    sizes: Float[Tensor, "people 2"]


def crop_boxes(boxes: Float[Tensor, "people 4"], out_wh: tuple[int, int], padding: float = PADDING) -> CropBoxes:
    """The rectangles to cut out for boxes (x0, y0, x1, y1).

    The shorter side of a box is extended to the aspect ratio of the input, then both sides are padded. A box without
    area counts as one of one pixel.
    """
    aspect = out_wh[0] / out_wh[1]
    width, height = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1).unbind(1)
    sizes = torch.stack([torch.maximum(width, height * aspect), torch.maximum(height, width / aspect)], 1)
    return CropBoxes((boxes[:, :2] + boxes[:, 2:]) / 2, sizes * padding)


def crop_matrices(
    centres: Float[Tensor, "people 2"],
    sizes: Float[Tensor, "people 2"],
    rotations_deg: Float[Tensor, " people"] | None,
    out_wh: tuple[int, int],
    udp: bool = False,
) -> Matrices:
    """The affine maps from frame pixels to crop pixels.

    Args:
        centres: Centres of the rectangles, frame pixels.
        sizes: Their widths and heights, frame pixels.
        rotations_deg: How far each rectangle is turned clockwise in the frame; None: upright.
        out_wh: Width and height of the crops, pixels.
        udp: Map the centres of the corner pixels onto the rectangle's corners (Huang et al. 2020), as networks that
            were trained with UDP expect. Otherwise the scale is that of the width, and the centre is mapped to half
            the width, which is half a pixel off the centre of the pixel grid.
    """
    angles = torch.zeros_like(centres[:, 0]) if rotations_deg is None else torch.deg2rad(rotations_deg)
    cos, sin = torch.cos(angles), torch.sin(angles)
    turns = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    span = centres.new_tensor(out_wh) - 1 if udp else centres.new_tensor(out_wh)
    scales = span / sizes if udp else (span[0] / sizes[:, :1]).expand(-1, 2)
    linear = scales[:, :, None] * turns
    offsets = span / 2 - (linear @ centres[:, :, None])[:, :, 0]
    return torch.cat([linear, offsets[:, :, None]], 2)


def invert(matrices: Matrices) -> Matrices:
    """The inverse maps, from crop pixels to frame pixels."""
    a, b, c, d = matrices[:, :, :2].flatten(1).unbind(1)
    adjugate = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1)
    linear = adjugate / (a * d - b * c)[:, None, None]
    return torch.cat([linear, -linear @ matrices[:, :, 2:]], 2)


def move(points: Points, matrices: Matrices) -> Points:
    """Apply each person's map to their points."""
    return points @ matrices[:, :, :2].mT + matrices[:, None, :, 2]


def heatmap_to_crop(points: Points, out_wh: tuple[int, int], heatmap_wh: tuple[int, int], udp: bool = False) -> Points:
    """Scale heatmap points to crop pixels: by the ratio of the sizes, with `udp` by that of the sizes minus one."""
    return _times(points, _ratio(out_wh, heatmap_wh, udp))


def crop_to_heatmap(points: Points, out_wh: tuple[int, int], heatmap_wh: tuple[int, int], udp: bool = False) -> Points:
    """Scale crop points to heatmap pixels; the inverse of `heatmap_to_crop`."""
    across, down = _ratio(out_wh, heatmap_wh, udp)
    return _times(points, (1 / across, 1 / down))


def _ratio(out_wh: tuple[int, int], heatmap_wh: tuple[int, int], udp: bool) -> tuple[float, float]:
    less = 1 if udp else 0
    return (out_wh[0] - less) / (heatmap_wh[0] - less), (out_wh[1] - less) / (heatmap_wh[1] - less)


def _times(points: Points, factors: tuple[float, float]) -> Points:
    """Points times factors. The factors are numbers on the CPU, so that nothing waits for the GPU."""
    return torch.stack([points[..., 0] * factors[0], points[..., 1] * factors[1]], -1)


@lru_cache
def _normalisation(device: torch.device) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """The divisor of RGB values, and what is then subtracted; both are copied to the device once."""
    with torch.inference_mode(False):
        deviation = torch.tensor(DEVIATION, device=device)
        return 255 * deviation, torch.tensor(MEAN, device=device) / deviation


def cut(
    frames: UInt8[Tensor, "frames height width 3"],
    frame_index: Int[Tensor, " people"],
    matrices: Matrices,
    out_wh: tuple[int, int],
) -> Float[Tensor, "people 3 crop_height crop_width"]:
    """Cut all people out of their frames, with bilinear interpolation, and normalise the crops.

    Crops are black beyond the frame and lie in memory in the channels-last format.

    Args:
        frames: RGB, on the device that computes.
        frame_index: The frame of each person.
        matrices: From frame pixels to crop pixels.
        out_wh: Width and height of the crops, pixels.
    """
    if frames.device.type == "cpu":
        crops = torch.from_numpy(warp(frames, frame_index, matrices, out_wh)).float()
    else:
        crops = _gather(frames, frame_index, invert(matrices.float()), out_wh)
    scale, shift = _normalisation(crops.device)
    # The crops are normalised in place, because only the heatmaps need more memory than they do.
    return crops.div_(scale).sub_(shift).permute(0, 3, 1, 2)


def warp(
    frames: UInt8[Tensor, "frames height width 3"],
    frame_index: Int[Tensor, " people"],
    matrices: Matrices,
    out_wh: tuple[int, int],
) -> UInt8[np.ndarray, "people crop_height crop_width 3"]:
    """`cut` on a CPU, not normalised; OpenCV is several times faster there than PyTorch (benchmarks/crops.py)."""
    images, crops = frames.numpy(), np.empty((len(matrices), out_wh[1], out_wh[0], 3), np.uint8)
    for crop, index, matrix in zip(crops, frame_index.tolist(), matrices.double().numpy(), strict=True):
        if np.isfinite(matrix).all():
            cv2.warpAffine(images[index], matrix, out_wh, dst=crop, flags=cv2.INTER_LINEAR)
        else:
            crop[:] = 0
    return crops


def _gather(
    frames: Tensor, frame_index: Tensor, inverses: Matrices, out_wh: tuple[int, int]
) -> Float[Tensor, "people crop_height crop_width 3"]:
    """Interpolate every crop pixel from its four neighbours in the frames.

    `grid_sample` would need a copy of the frame in floats for each person: gigabytes for large frames.
    """
    height, width = frames.shape[1:3]
    across = torch.arange(out_wh[0], device=frames.device, dtype=inverses.dtype)
    down = torch.arange(out_wh[1], device=frames.device, dtype=inverses.dtype)
    # Both coordinates have the axes (people, crop height, crop width).
    x, y = (
        row[:, 0, None, None] * across + row[:, 1, None, None] * down[:, None] + row[:, 2, None, None]
        for row in inverses.unbind(1)
    )
    # Coordinates that are not finite are moved outside the frame, so that the crop is black.
    x, y = x.nan_to_num(-2), y.nan_to_num(-2)
    left, top = x.floor(), y.floor()
    flat = frames.reshape(-1, 3)
    first = (frame_index.long() * (height * width))[:, None, None]
    crops = None
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = left + dx, top + dy
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            place = first + row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            part = flat[place].float() * (weight * inside)[..., None]
            crops = part if crops is None else crops.add_(part)
    assert crops is not None
    return crops
