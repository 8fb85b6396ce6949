"""Joints of one layout from those of another that has the limbs: the middles of hips and shoulders are their means."""

import numpy as np
from jaxtyping import Float64

from schemas.layouts import JointLayout

# Middle joints, each halfway between the joints of this name of both sides.
_MIDDLES = {"mid_hip": "hip", "mid_shoulder": "shoulder"}
_SIDES = ("left", "right")


def joints_from(source: JointLayout, target: JointLayout) -> Float64[np.ndarray, "joints_target joints_source"] | None:
    """A matrix that makes the joints of `target` of those of `source`; None if some cannot be made.

    Its rows sum to 1, so it may be applied to places and to poses about any joint.
    """
    matrix = np.zeros((len(target), len(source)))
    for row, joint in enumerate(target.joints):
        parts = [joint] if joint in source.joints else [f"{side}_{_MIDDLES.get(joint, '')}" for side in _SIDES]
        if not set(parts) <= set(source.joints):
            return None
        for part in parts:
            matrix[row, source.index(part)] = 1 / len(parts)
    return matrix


def poses_from(source: JointLayout, target: JointLayout) -> Float64[np.ndarray, "joints_target joints_source"] | None:
    """The same for poses, which come out about the root of `target`; its rows sum to 0."""
    matrix = joints_from(source, target)
    return None if matrix is None else matrix - matrix[target.parents.index(-1)]
