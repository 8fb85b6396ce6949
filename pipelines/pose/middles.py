"""Computes joints of one layout from another's: the middles of hips and shoulders are means of both sides."""

import numpy as np
from jaxtyping import Float64

from schemas.layouts import JointLayout

# Each middle joint lies halfway between the left and the right joint of this name.
_MIDDLES = {"mid_hip": "hip", "mid_shoulder": "shoulder"}
_SIDES = ("left", "right")


def joints_from(source: JointLayout, target: JointLayout) -> Float64[np.ndarray, "joints_target joints_source"] | None:
    """A matrix that maps the joints of `source` to those of `target`; None if some cannot be computed.

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
    """The matrix for poses; its result is relative to the root of `target`, so its rows sum to 0."""
    matrix = joints_from(source, target)
    return None if matrix is None else matrix - matrix[target.parents.index(-1)]
