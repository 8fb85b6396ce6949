"""Whether 2D joints can be those of people in a picture of some size: one rule for annotations and for keypoints."""

import numpy as np
from jaxtyping import Bool, Float

# If no coordinate exceeds this, coordinates are shares of the picture's size, not pixels.
LARGEST_SHARE = 2.0
# The joints of a person are farther apart than this, px.
SMALLEST_SPREAD_PX = 0.5
# A joint may lie outside of the picture by this share of its size, because annotators and detectors guess joints there.
BEYOND = 0.25
# At least this share of the joints must lie near the picture; otherwise they belong to another one.
LEAST_WITHIN = 0.5


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


def why_not_pixels(
    points: Float[np.ndarray, "points 2"], width: float | int, height: float | int, least_within: float = LEAST_WITHIN
) -> str | None:
    """Why joints cannot belong to people in a picture, and what to do about it; None if they can.

    The code of registered models (`pipelines/register/serving.py`) repeats this function.

    Args:
        points: The joints that were seen, px.
        width: Of the picture, px.
        height: Of the picture, px.
        least_within: Share of the joints that must lie near the picture.
    """
    if not len(points) or max(width, height) <= LARGEST_SHARE:
        return None
    if are_shares(points):
        return "are shares of the picture's size, not pixels; multiply x by its width and y by its height"
    within = near_picture(points, np.array([[width, height]], np.float64)).mean()
    if within >= least_within:
        alone = len(points) > 1 and np.ptp(points, axis=0).max() < SMALLEST_SPREAD_PX
        return "all lie on one point, where no person is; give the keypoints of each joint" if alone else None
    low, high = np.percentile(points, (1, 99), axis=0).round()
    return (
        f"lie outside pictures of {width:g} × {height:g} px: {1 - within:.0%} of them (they span {low[0]:.6g} to "
        f"{high[0]:.6g} and {low[1]:.6g} to {high[1]:.6g}); give the size of the pictures that they were found in"
    )
