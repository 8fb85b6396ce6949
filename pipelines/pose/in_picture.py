"""Whether 2D joints can be those of people in a picture of some size: one rule for annotations and for keypoints."""

import numpy as np
from jaxtyping import Bool, Float

# Coordinates of which none exceeds this are shares of the picture's size, not pixels.
LARGEST_SHARE = 2.0
# By how much of the picture's size a joint may lie outside: annotators and detectors guess joints beyond the edge.
BEYOND = 0.25


def are_shares(points: Float[np.ndarray, "points 2"]) -> bool:
    """Whether points are shares of the picture's width and height; there is at least one."""
    return bool(np.abs(points).max() <= LARGEST_SHARE)


def near_picture(
    points: Float[np.ndarray, "*points 2"], size_wh: Float[np.ndarray, "*#points 2"]
) -> Bool[np.ndarray, "*points"]:
    """Which points lie in their picture or near its edge.

    Args:
        points: Pixels.
        size_wh: Width and height of their pictures, px; infinite where unknown.
    """
    return np.all((points >= -BEYOND * size_wh) & (points <= (1 + BEYOND) * size_wh), axis=-1)
