"""Angles at the joints of a body, from the positions of three joints each.

Angles of this kind have no sign and no axis: they say how far a joint is bent, not in which anatomical plane. Clinical
angles (ISB's joint coordinate systems) need the rotation of every segment, which joint positions alone do not give.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from schemas.layouts import JointLayout


@dataclass(frozen=True)
class JointAngle:
    """One angle of one side of the body.

    Attributes:
        name: Side, joint and kind of the angle: left_knee_flexion.
        joints: Names of the three joints; the angle is at the second.
        zero_deg: Angle between the two bones where the named angle is 0: 180 where a straight joint is 0.
        sign: -1 where the named angle grows as the bones close.
    """

    name: str
    joints: tuple[str, str, str]
    zero_deg: float
    sign: int

    @property
    def side(self) -> str:
        """Side of the body: left or right."""
        return self.name.partition("_")[0]

    @property
    def title(self) -> str:
        """Name without the side, for people."""
        return self.name.partition("_")[2].replace("_", " ")


# For each kind of angle: the joints, the angle between the bones that counts as 0, and the sign. The foot is at a right
# angle to the shank in a person who stands upright; an arm that hangs down has an elevation of 0.
_KINDS = {
    "hip_flexion": (("shoulder", "hip", "knee"), 180.0, -1),
    "knee_flexion": (("hip", "knee", "ankle"), 180.0, -1),
    "ankle_dorsiflexion": (("knee", "ankle", "foot_index"), 90.0, -1),
    "shoulder_elevation": (("hip", "shoulder", "elbow"), 0.0, 1),
    "elbow_flexion": (("shoulder", "elbow", "wrist"), 180.0, -1),
}
# A bone shorter than this, m, has no direction.
_TINY = 1e-6


def joint_angles_of(layout: JointLayout) -> tuple[JointAngle, ...]:
    """The angles whose joints a layout has, left before right."""
    angles = (
        JointAngle(f"{side}_{kind}", (f"{side}_{a}", f"{side}_{b}", f"{side}_{c}"), zero_deg, sign)
        for kind, ((a, b, c), zero_deg, sign) in _KINDS.items()
        for side in ("left", "right")
    )
    return tuple(angle for angle in angles if set(angle.joints) <= set(layout.joints))


def joint_angles_deg(
    positions: Float[Tensor, "frames joints 3"], layout: JointLayout
) -> Float[Tensor, "frames angles"]:
    """The angles of `joint_angles_of` in each frame, degrees.

    Args:
        positions: Metres; relative to anything.
        layout: Joint layout of the positions.
    """
    angles = joint_angles_of(layout)
    first, at, last = (positions[:, [layout.index(angle.joints[n]) for angle in angles]] for n in range(3))
    one, other = first - at, last - at
    # The arc tangent of both parts is exact at 0° and 180°, where the arc cosine loses half of its digits.
    opening = torch.atan2(
        torch.linalg.cross(one, other).norm(dim=-1).clamp_min(_TINY**2), (one * other).sum(dim=-1)
    ).rad2deg()
    zero = torch.tensor([angle.zero_deg for angle in angles], dtype=positions.dtype)
    sign = torch.tensor([angle.sign for angle in angles], dtype=positions.dtype)
    return sign * (opening - zero)
