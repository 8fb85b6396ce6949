"""Affine maps between the frame and a model's square input, for pixels and for points.

Coordinates are continuous: (0, 0) is the top-left corner of the top-left pixel, whose centre is (0.5, 0.5).
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Affine = Float[np.ndarray, "2 3"]


def letterbox(region: tuple[float, float, float, float], side: int) -> Affine:
    """Map a region (x0, y0, x1, y1) of the frame into the middle of a square, keeping its aspect ratio.

    Args:
        region: Frame pixels.
        side: Pixels of the square.
    """
    x0, y0, x1, y1 = region
    scale = side / max(x1 - x0, y1 - y0)
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    return _about(centre, np.eye(2) * scale, side)


def upright(centre: Float[np.ndarray, " 2"], upward: Float[np.ndarray, " 2"], width: float, side: int) -> Affine:
    """Map a rotated square of the frame onto a square in which `upward` points up.

    Args:
        centre: Middle of the rotated square, frame pixels.
        upward: A direction in the frame, of any length above 0.
        width: Edge of the rotated square, frame pixels.
        side: Pixels of the square mapped to.
    """
    x, y = upward / np.linalg.norm(upward)
    # The rotation that takes (x, y) to (0, -1).
    return _about(centre, np.array([[-y, x], [-x, -y]]) * (side / width), side)


def _about(centre: Float[np.ndarray, " 2"], linear: Float[np.ndarray, "2 2"], side: int) -> Affine:
    """The affine map with this linear part that puts `centre` into the middle of the square."""
    return np.column_stack([linear, side / 2 - linear @ centre])


def inverse(affine: Affine) -> Affine:
    """The inverse map."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def move(points: Float[np.ndarray, "*axes 2"], affine: Affine) -> Float[np.ndarray, "*axes 2"]:
    """Apply a map to points."""
    return points @ affine[:, :2].T + affine[:, 2]


def warp(frame: UInt8[np.ndarray, "height width 3"], affine: Affine, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Cut the square out of the frame; black where it reaches beyond the frame."""
    # OpenCV's pixel centres have whole-numbered coordinates, which are half a pixel less than those used here.
    linear, half = affine[:, :2], np.array([0.5, 0.5])
    by_centres = np.column_stack([linear, affine[:, 2] + linear @ half - half])
    return cv2.warpAffine(frame, by_centres, (side, side), flags=cv2.INTER_LINEAR)
