"""Simulates the 2D keypoints of a detector from the true joints: a model of error and confidence.

The error of a joint in a frame is an independent draw from the bivariate Student-t distribution with 3 degrees of
freedom: mostly small and sometimes large, like the errors of detectors. Its scale is chosen so that the standard
deviation along each axis is `noise_px` at an image width of 1000 px, and in proportion at others; the mean distance is
then `noise_px` too. With r = distance / noise_px the score is exp(-r / 4) + n, n normal with standard deviation 0.05,
clipped to [0, 1]: confidence correlates with the error, but does not determine it.
"""

import numpy as np
from jaxtyping import Float, Float64

_DEGREES_OF_FREEDOM = 3
# The variance of a Student-t variable is ν / (ν - 2), so this factor makes it 1.
_UNIT_SCALE = ((_DEGREES_OF_FREEDOM - 2) / _DEGREES_OF_FREEDOM) ** 0.5
_SCORE_REACH, _SCORE_NOISE = 4.0, 0.05


def detect_like(
    rng: np.random.Generator, true_px: Float[np.ndarray, "frames joints 2"], noise_px: float, width: int
) -> tuple[Float64[np.ndarray, "frames joints 2"], Float64[np.ndarray, "frames joints"]]:
    """Noisy keypoints (px) and their scores.

    Args:
        rng: Generator of the errors and scores.
        true_px: True joints, px.
        noise_px: Standard deviation along each axis at a width of 1000 px.
        width: Image width, px.
    """
    shape = true_px.shape[:2]
    spread = np.sqrt(_DEGREES_OF_FREEDOM / rng.chisquare(_DEGREES_OF_FREEDOM, shape))
    error = rng.normal(size=(*shape, 2)) * (_UNIT_SCALE * spread)[..., None]
    scores = np.exp(-np.linalg.norm(error, axis=-1) / _SCORE_REACH) + rng.normal(0, _SCORE_NOISE, shape)
    return true_px + error * (noise_px * width / 1000), np.clip(scores, 0, 1)
