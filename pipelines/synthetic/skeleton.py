"""The body: its proportions, the limits of its joints, and forward kinematics.

Frames: x forward, y left, z up, metres. At rest (upright, arms hanging) every body part is aligned with them. Joints
are those of `h36m17`; `rotations[joint]` rotates the body part that hangs on the joint into the world, so the rotation
at an ankle is the foot's.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from schemas.layouts import LAYOUTS

LAYOUT = LAYOUTS["h36m17"]
JOINT = {name: index for index, name in enumerate(LAYOUT.joints)}
JOINTS = len(LAYOUT)

# Indices into the last axis of joint angles (radians). Their sense is anatomical: mirrored between left and right.
FLEXION, ABDUCTION, ROTATION = 0, 1, 2

# The limits (flexion, abduction, rotation) in degrees: usual active ranges of motion of a healthy adult, rounded.
_LIMITS_DEG: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "pelvis": ((-25, 40), (-20, 20), (-np.inf, np.inf)),
    "spine": ((-20, 60), (-30, 30), (-40, 40)),
    "neck": ((-35, 45), (-35, 35), (-70, 70)),
    "hip": ((-25, 125), (-20, 45), (-35, 40)),
    "knee": ((0, 150), (0, 0), (0, 0)),
    "ankle": ((-45, 35), (-45, 25), (-20, 20)),
    "shoulder": ((-55, 175), (-25, 170), (-80, 90)),
    "elbow": ((0, 150), (0, 0), (-80, 80)),
    "wrist": ((-70, 70), (-20, 30), (0, 0)),
}


def _kind(joint: str) -> str:
    return joint.removeprefix("left_").removeprefix("right_")


def joint_limits() -> tuple[Float64[np.ndarray, "17 3"], Float64[np.ndarray, "17 3"]]:
    """Smallest and largest angle of every joint (radians); 0 and 0 for a joint that does not turn."""
    rigid = ((0.0, 0.0),) * 3
    limits = np.deg2rad([_LIMITS_DEG.get(_kind(joint), rigid) for joint in LAYOUT.joints])
    return limits[..., 0], limits[..., 1]


def _turning_senses() -> Float64[np.ndarray, "17 3"]:
    """+1 or -1: the sense of each anatomical angle as a right-handed rotation about (y, x, z)."""
    senses = np.ones((JOINTS, 3))
    for index, joint in enumerate(LAYOUT.joints):
        if joint.startswith("right_"):
            senses[index, [ABDUCTION, ROTATION]] = -1
        # Hips, shoulders, elbows and ankles flex forward or up, which is negative about y; knees and the spine do not.
        if _kind(joint) in ("hip", "ankle", "shoulder", "elbow"):
            senses[index, FLEXION] = -1
        # Abduction of trunk and head means bending to the left, which has the opposite sense to that of a left limb.
        if joint in ("pelvis", "spine", "neck"):
            senses[index, ABDUCTION] = -1
    return senses


_SENSES = _turning_senses()


@dataclass(frozen=True)
class Body:
    """The proportions of one person.

    Attributes:
        stature: Standing height, metres.
        girth: Thickness of limbs and trunk relative to the average.
        offsets: Each joint in the frame of its parent's body part, metres.
        heel: Lowest point of the heel in the frame of the foot, metres.
        toe: Lowest point of the ball of the foot in the frame of the foot, metres.
    """

    stature: float
    girth: float
    offsets: Float64[np.ndarray, "17 3"]
    heel: Float64[np.ndarray, " 3"]
    toe: Float64[np.ndarray, " 3"]

    def bone(self, joint: str) -> float:
        """Length from a joint to its parent, metres."""
        return float(np.linalg.norm(self.offsets[JOINT[joint]]))


def sample_body(rng: np.random.Generator) -> Body:
    """A person of 1.5 to 1.95 m; segments as shares of stature, near those of motion-capture skeletons, ±5 %."""
    stature = rng.uniform(1.5, 1.95)

    def share(mean: float) -> float:
        return stature * mean * float(np.clip(rng.normal(1.0, 0.03), 0.95, 1.05))

    hips, shoulders = share(0.064), share(0.104)
    thigh, shin, upper_arm, forearm = share(0.247), share(0.247), share(0.163), share(0.148)
    offsets = np.zeros((JOINTS, 3))
    offsets[JOINT["spine"]] = (0, 0, share(0.131))
    offsets[JOINT["thorax"]] = (0, 0, share(0.142))
    offsets[JOINT["neck"]] = (0.012 * stature, 0, share(0.070))
    offsets[JOINT["head"]] = (0, 0, share(0.066))
    for side, sign in (("left", 1), ("right", -1)):
        offsets[JOINT[f"{side}_hip"]] = (0, sign * hips, 0)
        offsets[JOINT[f"{side}_knee"]] = (0, 0, -thigh)
        offsets[JOINT[f"{side}_ankle"]] = (0, 0, -shin)
        # The shoulder joint lies a little below the base of the neck.
        offsets[JOINT[f"{side}_shoulder"]] = (0, sign * shoulders, -0.018 * stature)
        offsets[JOINT[f"{side}_elbow"]] = (0, 0, -upper_arm)
        offsets[JOINT[f"{side}_wrist"]] = (0, 0, -forearm)
    sole = -0.045 * stature
    return Body(
        stature=stature,
        girth=float(rng.uniform(0.88, 1.16)),
        offsets=offsets,
        heel=np.array([-0.030 * stature, 0, sole]),
        toe=np.array([0.082 * stature, 0, sole]),
    )


def rotation_about(axis: int, angle: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "... 3 3"]:
    """Right-handed rotations about an axis of the world (0: x, 1: y, 2: z) by angles in radians."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.zeros((*angle.shape, 3, 3))
    rotation[..., axis, axis] = 1
    rotation[..., first, first] = rotation[..., second, second] = np.cos(angle)
    rotation[..., second, first] = np.sin(angle)
    rotation[..., first, second] = -np.sin(angle)
    return rotation


def local_rotations(angles: Float64[np.ndarray, "frames 17 3"]) -> Float64[np.ndarray, "frames 17 3 3"]:
    """Rotation of each body part relative to its parent's: twisted about its own axis, then flexed, then abducted.

    The pelvis is first tilted, then turned: its rotation angle is the person's heading.
    """
    turned = angles * _SENSES
    flexed = rotation_about(1, turned[..., FLEXION])
    abducted = rotation_about(0, turned[..., ABDUCTION])
    twisted = rotation_about(2, turned[..., ROTATION])
    local = abducted @ flexed @ twisted
    local[:, 0] = twisted[:, 0] @ abducted[:, 0] @ flexed[:, 0]
    return local


def forward_kinematics(
    body: Body, angles: Float64[np.ndarray, "frames 17 3"], root: Float64[np.ndarray, "frames 3"]
) -> tuple[Float64[np.ndarray, "frames 17 3"], Float64[np.ndarray, "frames 17 3 3"]]:
    """Positions (m) of the joints and rotations of the body parts that hang on them."""
    rotations = local_rotations(angles)
    positions = np.empty(angles.shape)
    positions[:, 0] = root
    for joint, parent in LAYOUT.bones:
        positions[:, joint] = positions[:, parent] + rotations[:, parent] @ body.offsets[joint]
        rotations[:, joint] = rotations[:, parent] @ rotations[:, joint]
    return positions, rotations


def sole_points(
    body: Body, positions: Float64[np.ndarray, "frames 17 3"], rotations: Float64[np.ndarray, "frames 17 3 3"]
) -> Float64[np.ndarray, "frames 4 3"]:
    """Left heel, left toe, right heel, right toe (m): the points that touch the ground."""
    points = [
        positions[:, JOINT[ankle]] + rotations[:, JOINT[ankle]] @ point
        for ankle in ("left_ankle", "right_ankle")
        for point in (body.heel, body.toe)
    ]
    return np.stack(points, axis=1)
