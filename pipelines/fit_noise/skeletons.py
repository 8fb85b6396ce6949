"""Transfers the joint map from the skeleton on which errors were measured to that of the motion that is trained on.

Motion captures put the joints of the same person at different places: CMU's hips are lower and closer together than
the synthetic people's. What a detector's own skeleton looks like is measured on the first; its proportions say where
the detector's joints lie on the second.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64
from scipy.optimize import least_squares

from pipelines.fit_noise.measured import LIMBS
from pipelines.pose.joint_map import joint_map
from schemas.configs.made_views import PARTS, DetectorErrorsConfig
from schemas.layouts import JointLayout

# The distances that make up the proportions of a skeleton; the widths between left and right come first.
_WIDTHS: tuple[str, ...] = ("shoulder", "hip")
_BONES = (("shoulder", "hip"), ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
# A usual share of a joint map, and the weight that pulls shares towards 0. If proportions do not tell which of two
# joints is shifted, both are shifted a little.
_USUAL = 0.05
_PRIOR = 0.02


def proportions(joints: Float64[np.ndarray, "frames 12 3"]) -> Float64[np.ndarray, " distances"]:
    """Logarithms of the median distances of a skeleton, about their mean, so that its size does not count."""
    lengths = [_distance(joints, f"left_{part}", f"right_{part}") for part in _WIDTHS]
    for upper, lower in _BONES:
        sides = [_distance(joints, f"{side}_{upper}", f"{side}_{lower}") for side in ("left", "right")]
        lengths.append(sum(sides) / 2)
    logs = np.log(lengths)
    return logs - logs.mean()


def detected_proportions(
    poses: Iterable[tuple[Float64[np.ndarray, "frames joints 3"], JointLayout]], errors: DetectorErrorsConfig
) -> Float64[np.ndarray, " distances"]:
    """Proportions of the skeleton that a detector sees in people.

    Args:
        poses: The people, m.
        errors: Where the detector sees their joints.
    """
    return np.mean([proportions(_mapped(joints, body, errors)) for joints, body in poses], axis=0)


def refit(
    errors: DetectorErrorsConfig,
    detected: Float64[np.ndarray, " distances"],
    poses: list[tuple[Float64[np.ndarray, "frames joints 3"], JointLayout]],
) -> DetectorErrorsConfig:
    """The same errors with the joint map of other people's skeletons.

    Args:
        errors: The errors.
        detected: Proportions of the skeleton that the detector sees.
        poses: The other people, m.
    """

    def with_shares(shares: Float64[np.ndarray, " shares"]) -> DetectorErrorsConfig:
        outwards = dict(zip(_WIDTHS, shares[: len(_WIDTHS)].tolist(), strict=True))
        along = dict(zip(PARTS, shares[len(_WIDTHS) :].tolist(), strict=True))
        parts = {
            part: getattr(errors, part).model_copy(update={"outwards": outwards.get(part, 0.0), "along": along[part]})
            for part in PARTS
        }
        return errors.model_copy(update=parts)

    def residuals(shares: Float64[np.ndarray, " shares"]) -> Float64[np.ndarray, " residuals"]:
        proportions = detected_proportions(poses, with_shares(shares))
        return np.concatenate([proportions - detected, _PRIOR * shares / _USUAL])

    solution = least_squares(residuals, np.zeros(len(_WIDTHS) + len(PARTS)), x_scale=_USUAL)
    return with_shares(solution.x.round(4))


def _mapped(
    joints: Float64[np.ndarray, "frames joints 3"], body: JointLayout, errors: DetectorErrorsConfig
) -> Float64[np.ndarray, "frames 12 3"]:
    return joint_map(body, LIMBS.joints, errors) @ joints


def _distance(joints: Float64[np.ndarray, "frames 12 3"], one: str, other: str) -> float:
    between = joints[:, LIMBS.index(one)] - joints[:, LIMBS.index(other)]
    return float(np.nanmedian(np.linalg.norm(between, axis=-1)))
