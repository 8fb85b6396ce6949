"""Measures of a person from the joints: stature, which way is up, and whether left and right are correct."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from schemas.layouts import JointLayout

_SIDES = ("left", "right")
# Names of the topmost joint; the first one that a layout has is used.
HEADS = ("head_top", "head", "upper_neck", "neck", "nose")
# The (child, parent) joints of bones whose length does not depend on the posture, without their side.
_LIMBS = (("knee", "hip"), ("ankle", "knee"), ("elbow", "shoulder"), ("wrist", "elbow"))
# The length of a person from ankles to head along the bones, as a share of the standing height.
BONES_PER_HEIGHT = 0.9
# A knee counts as bent if it is farther than this from the middle between hip and ankle, as a share of the distance
# between them. That is a flexion of 33 degrees; walking reaches 60.
_BENT = 0.15


@dataclass(frozen=True)
class Body:
    """The joints of a person over time, in any unit and any axes; joints that are missing are NaN.

    Attributes:
        positions: The joints.
        layout: Their layout.
    """

    positions: Float[np.ndarray, "frames joints 3"]
    layout: JointLayout

    def joint(self, name: str) -> Float[np.ndarray, "frames 3"]:
        """A joint, by name; NaN if the layout lacks it."""
        if name not in self.layout.joints:
            return np.full((len(self.positions), 3), np.nan)
        return self.positions[:, self.layout.index(name)]

    def middle(self, name: str) -> Float[np.ndarray, "frames 3"]:
        """The point between the left and the right joint of a name."""
        return (self.joint(f"left_{name}") + self.joint(f"right_{name}")) / 2

    @property
    def head(self) -> Float[np.ndarray, "frames 3"]:
        """The topmost joint."""
        return self.joint(next((name for name in HEADS if name in self.layout.joints), "head"))

    def stature(self) -> float:
        """Length of the person from the ankles to the head along the bones, median; NaN if joints for it are lacking.

        It is about `BONES_PER_HEIGHT` of the height of a person who stands.
        """
        legs = sum(self._limb(side, *limb) for side in _SIDES for limb in _LIMBS[:2])
        trunk = _length(self.middle("hip") - self.middle("shoulder")) + _length(self.middle("shoulder") - self.head)
        return median(legs / 2 + trunk)

    def limbs(self) -> Float[np.ndarray, "frames limbs"]:
        """Lengths of thighs, shins, upper arms and forearms."""
        return np.stack([self._limb(side, *limb) for side in _SIDES for limb in _LIMBS], axis=1)

    def towards_head(self) -> Float[np.ndarray, "frames 3"]:
        """The vector from the ankles to the head."""
        return self.head - self.middle("ankle")

    def limb_spread(self) -> float:
        """How much limbs vary in length: the median over limbs of (90th - 10th percentile) / median."""
        lengths = [limb[np.isfinite(limb)] for limb in self.limbs().T]
        shares = [np.percentile(limb, (10, 50, 90)) for limb in lengths if len(limb)]
        return median(np.array([(high - low) / max(middle, 1e-9) for low, middle, high in shares]))

    def knees_bend_forward(self) -> Bool[np.ndarray, " bent"]:
        """For every knee in every frame in which it is clearly bent, whether it bends to the front.

        The front follows from the trunk and from which hip is the right one. So knees that bend backward are those of
        a person whose left and right are swapped, or who is mirrored.
        """
        trunk = self.middle("shoulder") - self.middle("hip")
        front = np.cross(trunk, self.joint("right_hip") - self.joint("left_hip"))
        bends_forward = []
        for side in _SIDES:
            hip, knee, ankle = (self.joint(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
            offset, leg = knee - (hip + ankle) / 2, _length(hip - ankle)
            bent = _length(offset) > _BENT * leg
            bends_forward.append((offset * front).sum(-1)[bent] > 0)
        return np.concatenate(bends_forward)

    def shoulders_like_hips(self) -> Bool[np.ndarray, " known"]:
        """For every frame, whether left and right of the shoulders are on the same sides as those of the hips."""
        across = [self.joint(f"right_{name}") - self.joint(f"left_{name}") for name in ("shoulder", "hip")]
        inner = (across[0] * across[1]).sum(-1)
        return inner[np.isfinite(inner)] > 0

    def _limb(self, side: str, child: str, parent: str) -> Float[np.ndarray, " frames"]:
        return _length(self.joint(f"{side}_{child}") - self.joint(f"{side}_{parent}"))


def _length(vectors: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape"]:
    return np.linalg.norm(vectors, axis=-1)


def median(values: Float[np.ndarray, " values"]) -> float:
    """The median of the finite values; NaN if there are none."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")
