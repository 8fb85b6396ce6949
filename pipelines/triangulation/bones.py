"""Joints that cannot be where rays meet, because their bone would be too long or too short."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from pipelines.triangulation.robust import Points
from schemas.layouts import JointLayout

# A bone's length is possible within this factor of its median, because keypoints are noisy and joints move on the body.
_FACTOR = 1.3
# Bones are brought to their lengths this many times, after which all of them fit.
_ITERATIONS = 10
# Only the bones of limbs are checked, because shoulders and hips move on the trunk.
_LIMBS = ("elbow", "wrist", "knee", "ankle")


def without_impossible(points: Points, names: JointLayout) -> Points:
    """The points without the ends of impossible bones, from the trunk outwards."""
    kept = points.views > 0
    for child, parent in names.bones:
        if not names.joints[child].endswith(_LIMBS):
            continue
        lengths = np.linalg.norm(points.positions[:, child] - points.positions[:, parent], axis=-1)
        known = kept[:, child] & kept[:, parent]
        if known.any():
            share = lengths / np.median(lengths[known])
            kept[:, child] &= ~known | ((share < _FACTOR) & (share > 1 / _FACTOR))
    return replace(
        points,
        positions=np.where(kept[..., None], points.positions, np.nan),
        residuals_px=np.where(kept, points.residuals_px, np.nan),
        views=np.where(kept, points.views, 0),
    )


def with_constant_lengths(
    positions: Float64[np.ndarray, "frames joints 3"], names: JointLayout
) -> Float64[np.ndarray, "frames joints 3"]:
    """Positions moved until bones keep their median lengths: each end moves half of the way, repeatedly."""
    moved = positions.copy()
    medians = {}
    for child, parent in names.bones:
        lengths = np.linalg.norm(positions[:, child] - positions[:, parent], axis=-1)
        if names.joints[child].endswith(_LIMBS) and np.isfinite(lengths).any():
            medians[child, parent] = float(np.nanmedian(lengths))
    for _ in range(_ITERATIONS):
        for (child, parent), length in medians.items():
            bone = moved[:, child] - moved[:, parent]
            now = np.linalg.norm(bone, axis=-1, keepdims=True)
            step = np.nan_to_num(bone * (1 - length / np.maximum(now, 1e-6)) / 2)
            moved[:, child] -= step
            moved[:, parent] += step
    return moved
