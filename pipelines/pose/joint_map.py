"""Computes where a detector sees joints, from the joints of motion capture.

The two mean different points by the same names: a detector's hips and shoulders are those that annotators clicked. The
difference is a share of the distance to another joint, so that it turns and grows with the body.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from schemas.configs.made_views import DetectorErrorsConfig
from schemas.layouts import JointLayout

# The joint before each joint of a limb; `along` is a shift towards it.
BEFORE = {"ankle": "knee", "knee": "hip", "hip": "shoulder", "shoulder": "hip", "elbow": "shoulder", "wrist": "elbow"}


def joint_map(
    body: JointLayout, detected: Sequence[str], errors: DetectorErrorsConfig
) -> Float64[np.ndarray, "joints_detected joints_body"]:
    """A matrix that maps the body's joints to the points that the detector sees; its rows sum to 1.

    Args:
        body: Joints of motion capture.
        detected: Names of joints of the detector, which the body has too.
        errors: Where the detector sees each.
    """
    matrix = np.zeros((len(detected), len(body)))
    for row, joint in enumerate(detected):
        here = body.index(joint)
        matrix[row, here] = 1
        for other, share in _directions(body, joint, errors):
            matrix[row, here] += share
            matrix[row, other] -= share
    return matrix


def _directions(body: JointLayout, joint: str, errors: DetectorErrorsConfig) -> list[tuple[int, float]]:
    """The joints that a joint is moved away from, and by which share of the distance."""
    here, wanted = body.index(joint), errors.of(joint)
    side, _, part = joint.partition("_")
    before = f"{side}_{BEFORE.get(part, '')}"
    moves = [(body.mirror[here], wanted.outwards)]
    if before in body.joints:
        moves.append((body.index(before), -wanted.along))
    return [(other, share) for other, share in moves if share and other != here]
