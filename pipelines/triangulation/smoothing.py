"""Positions over time without the noise of single frames, but with their impacts.

It minimises the squared distance from the triangulated joints, in units of their noise, plus the acceleration, in units
of the usual one. Beyond that the acceleration counts linearly (Huber), so that the stop of a fist or a foot is
kept instead of being spread over neighbouring frames.
"""

import numpy as np
from jaxtyping import Float64
from scipy.linalg import solveh_banded

# The usual acceleration of joints in everyday motion, m/s²; larger ones count linearly.
_ACCELERATION = 15.0
# Noise of a triangulated joint, m.
_NOISE_M = 0.008
_STEPS = 8


def smooth(
    positions: Float64[np.ndarray, "frames 3"], weights: Float64[np.ndarray, " frames"], step_s: float
) -> Float64[np.ndarray, "frames 3"]:
    """The smooth path of a joint; where its weight is 0, it follows from its neighbours in time.

    Args:
        positions: World, m; ignored where the weight is 0.
        weights: How much each frame counts; 1 is usual.
        step_s: Seconds between frames.
    """
    frames = len(positions)
    if frames < 3 or not (weights > 0).any():
        return positions
    data = weights / _NOISE_M**2
    target = np.where((weights > 0)[:, None], positions, 0.0)
    unit = _ACCELERATION * step_s**2
    huber = np.ones(frames - 2)
    path = target
    for _ in range(_STEPS):
        path = _solve(data, target, huber / unit**2)
        sizes = np.linalg.norm(np.diff(path, 2, axis=0), axis=1) / unit
        huber = 1 / np.maximum(sizes, 1.0)
    return path


def _solve(data: np.ndarray, target: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    """The least of sum data (x - target)² + sum stiffness (second difference of x)²."""
    bands = np.zeros((3, len(data)))
    bands[0] = data + 1e-9
    bands[0, :-2] += stiffness
    bands[0, 1:-1] += 4 * stiffness
    bands[0, 2:] += stiffness
    bands[1, :-2] -= 2 * stiffness
    bands[1, 1:-1] -= 2 * stiffness
    bands[2, :-2] += stiffness
    return solveh_banded(bands, data[:, None] * target, lower=True)
