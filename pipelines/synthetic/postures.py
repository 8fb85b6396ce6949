"""Motion between random poses of a posture: on the floor, on seats, bent over, on a bicycle.

Motion capture holds little of these postures. A posture is a table of the ranges of its joint angles; a person moves
from one random pose within them to the next. The motion teaches a lifter which shapes bodies have, not how people move:
the hips stay above one place, and hands and feet may slide. Most ranges are narrower than those that joints allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float32, Float64

from pipelines.synthetic.gestures import Curve, Real, rise, smooth
from pipelines.synthetic.skeleton import (
    ABDUCTION,
    FLEXION,
    JOINT,
    JOINTS,
    Body,
    forward_kinematics,
    joint_limits,
    rotation_about,
)

Range = tuple[Real, Real]

# Standard deviations of the Gaussian smoothing over time, s.
_ANGLES_SMOOTHING_S, _TRUNK_SMOOTHING_S = 0.08, 0.1
# The lowest joint is this high above the ground, m: half the thickness of a limb.
_LOWEST_JOINT_M = 0.07
# The time from one pose to the next, s, and the share of it that the movement takes.
_PACE_S, _MOVING = (0.8, 2.5), (0.5, 1.0)
# How often the right side does the same as the left one, and how often somebody who lies turns over.
_SYMMETRIC, _TURNS_OVER = 0.5, 0.4


@dataclass(frozen=True)
class Posture:
    """The ranges of a posture, degrees.

    Attributes:
        pitch: How far the trunk leans forward: 0 upright, 90 face down, -90 on the back.
        roll: How far the trunk is turned about its own axis.
        joints: Flexion, abduction and outward rotation of joints, named without their side, in the anatomical sense of
            `pipelines.synthetic.skeleton`; other joints are at rest.
        turns: Whether the person may turn over.
    """

    pitch: Range
    roll: Range
    joints: Mapping[str, tuple[Range, Range, Range]]
    turns: bool = False


_NONE: Range = (0, 0)


def _flexes(low: Real, high: Real) -> tuple[Range, Range, Range]:
    """A joint that only flexes."""
    return (low, high), _NONE, _NONE


# The neck, the elbows and the wrists of every posture that does not say otherwise.
_FREE = {
    "neck": ((-25, 35), (-20, 20), (-50, 50)),
    "elbow": ((0, 130), _NONE, (-60, 60)),
    "wrist": ((-30, 30), _NONE, _NONE),
}
_LYING_HIP, _LYING_ANKLE = ((-5, 110), (-5, 35), (-20, 30)), ((-35, 15), _NONE, _NONE)

POSTURES: Mapping[str, Posture] = MappingProxyType(
    {
        "lie_on_back": Posture(
            pitch=(-95, -75),
            roll=(-15, 15),
            joints={
                **{"hip": _LYING_HIP, "knee": _flexes(0, 130), "ankle": _LYING_ANKLE},
                **{"shoulder": ((-20, 175), (-5, 100), (-60, 80)), "spine": ((-5, 45), (-10, 10), (-15, 15))},
            },
            turns=True,
        ),
        "lie_on_side": Posture(
            pitch=(-95, -80),
            roll=(60, 120),
            joints={
                **{"hip": _LYING_HIP, "knee": _flexes(0, 130), "ankle": _LYING_ANKLE},
                **{"shoulder": ((-10, 170), (-5, 90), (-60, 80)), "spine": ((-5, 40), (-15, 15), (-20, 20))},
            },
            turns=True,
        ),
        "lie_on_front": Posture(
            pitch=(78, 100),
            roll=(-15, 15),
            joints={
                **{"hip": ((-15, 20), (-5, 35), (-20, 30)), "knee": _flexes(0, 110), "ankle": _flexes(-40, 0)},
                **{"shoulder": ((0, 170), (0, 110), (-60, 80)), "spine": ((-15, 15), (-10, 10), (-15, 15))},
            },
        ),
        "push_up": Posture(
            pitch=(55, 95),
            roll=(-6, 6),
            joints={
                **{"hip": ((-10, 70), (0, 15), (-5, 10)), "knee": _flexes(0, 60), "ankle": _flexes(5, 30)},
                **{"shoulder": ((45, 110), (0, 40), (-30, 30)), "elbow": ((0, 100), _NONE, (-30, 30))},
                "spine": ((-10, 15), (-5, 5), (-5, 5)),
            },
        ),
        "on_all_fours": Posture(
            pitch=(60, 95),
            roll=(-8, 8),
            joints={
                **{"hip": ((50, 110), (0, 20), (-5, 10)), "knee": _flexes(60, 120), "ankle": _flexes(-40, 0)},
                **{"shoulder": ((50, 120), (-5, 30), (-30, 30)), "elbow": ((0, 60), _NONE, (-30, 30))},
                "spine": ((-15, 25), (-10, 10), (-15, 15)),
            },
        ),
        "sit_on_floor": Posture(
            pitch=(-30, 35),
            roll=(-8, 8),
            joints={
                **{"hip": ((40, 125), (-10, 45), (-20, 40)), "knee": _flexes(0, 145), "ankle": _flexes(-40, 15)},
                **{"shoulder": ((-50, 120), (0, 70), (-60, 80)), "spine": ((-10, 50), (-20, 20), (-30, 30))},
            },
        ),
        "kneel": Posture(
            pitch=(-10, 50),
            roll=(-8, 8),
            joints={
                **{"hip": ((-10, 110), (0, 25), (-10, 15)), "knee": _flexes(70, 148), "ankle": _flexes(-45, 0)},
                **{"shoulder": ((-30, 150), (0, 70), (-60, 80)), "spine": ((-10, 45), (-20, 20), (-30, 30))},
            },
        ),
        "bend_over": Posture(
            pitch=(10, 75),
            roll=(-10, 10),
            joints={
                **{"hip": ((0, 110), (0, 20), (-5, 15)), "knee": _flexes(0, 70), "ankle": _flexes(-10, 30)},
                **{"shoulder": ((0, 150), (0, 60), (-60, 60)), "spine": ((0, 55), (-15, 15), (-25, 25))},
            },
        ),
        "sit_on_chair": Posture(
            pitch=(-25, 35),
            roll=(-8, 8),
            joints={
                **{"hip": ((60, 105), (-10, 30), (-10, 20)), "knee": _flexes(40, 115), "ankle": _flexes(-20, 20)},
                **{"shoulder": ((-30, 140), (0, 80), (-70, 80)), "spine": ((-10, 40), (-20, 20), (-35, 35))},
            },
        ),
        # The legs are turned round besides, see `_pedal`.
        "ride_bicycle": Posture(
            pitch=(5, 50),
            roll=(-4, 4),
            joints={
                **{"hip": ((55, 85), (0, 8), _NONE), "knee": _flexes(65, 80), "ankle": _flexes(-12, 5)},
                **{"shoulder": ((50, 85), (5, 25), _NONE), "elbow": ((5, 60), _NONE, (-20, 20))},
                **{"spine": ((5, 35), (-5, 5), (-5, 5)), "neck": ((-35, 0), (-10, 10), (-30, 30))},
            },
        ),
    }
)


def generate(
    name: str, body: Body, seconds: float, fps: float, rng: np.random.Generator
) -> Float32[np.ndarray, "frames 17 3"]:
    """Somebody who moves within a posture.

    Args:
        name: A name of `POSTURES`.
        body: Who it is.
        seconds: Length, s.
        fps: Frames per second.
        rng: Random source.

    Returns:
        Joints of layout `h36m17`, world frame (z up, ground at 0), metres.
    """
    posture, time_s = POSTURES[name], np.arange(max(2, round(seconds * fps))) / fps
    poses = _Poses(time_s, float(rng.uniform(*_PACE_S)), rng)
    angles = np.zeros((len(time_s), JOINTS, 3))
    for part, ranges in {**_FREE, **posture.joints}.items():
        one_side = np.stack([poses.within(limits) for limits in ranges], axis=-1)
        for joint in (part,) if part in JOINT else (f"left_{part}", f"right_{part}"):
            moves_alone = joint.startswith("right_") and rng.random() > _SYMMETRIC
            own = np.stack([poses.within(limits) for limits in ranges], axis=-1) if moves_alone else one_side
            angles[:, JOINT[joint]] = np.deg2rad(own)
    if name == "ride_bicycle":
        _pedal(angles, time_s, float(rng.uniform(0.8, 1.6)))
    pitch, roll = poses.within(posture.pitch), poses.within(posture.roll)
    if rng.random() < 0.5:
        roll = -roll
    if posture.turns and rng.random() < _TURNS_OVER:
        roll += rng.choice([-170, 170]) * rise(time_s, rng.uniform(0, time_s[-1]), rng.uniform(1, 3))
    yaw = rng.uniform(0, 360) + 15 * np.sin(0.3 * time_s + rng.uniform(0, 2 * np.pi))
    angles = smooth(np.clip(angles, *joint_limits()), _ANGLES_SMOOTHING_S, fps)
    joints, _ = forward_kinematics(body, angles, np.zeros((len(time_s), 3)))
    pitch, roll = smooth(np.stack([pitch, roll]).T, _TRUNK_SMOOTHING_S, fps).T
    trunk = (
        rotation_about(2, np.deg2rad(yaw)) @ rotation_about(1, np.deg2rad(pitch)) @ rotation_about(2, np.deg2rad(roll))
    )
    joints = joints @ trunk.swapaxes(1, 2)
    joints[..., 2] += smooth(_LOWEST_JOINT_M - joints[..., 2].min(1), _ANGLES_SMOOTHING_S, fps)[:, None]
    return joints.astype(np.float32)


class _Poses:
    """Curves through random values at common moments, along minimum-jerk curves."""

    def __init__(self, time_s: Curve, pace_s: float, rng: np.random.Generator) -> None:
        self._time_s, self._pace_s, self._rng = time_s, pace_s, rng
        self._moments_s = np.arange(0, time_s[-1] + pace_s, pace_s)

    def within(self, limits: Range) -> Curve:
        """A curve within limits."""
        values = self._rng.uniform(*limits, len(self._moments_s))
        curve = np.full(len(self._time_s), values[0])
        for moment_s, before, after in zip(self._moments_s, values[:-1], values[1:], strict=False):
            moving_s = self._rng.uniform(*_MOVING) * self._pace_s
            curve += (after - before) * rise(self._time_s, moment_s, moving_s)
        return curve


def _pedal(angles: Float64[np.ndarray, "frames 17 3"], time_s: Curve, hertz: float) -> None:
    """Turn the legs of a person on a bicycle round, and rock the trunk a little."""
    phase = 2 * np.pi * hertz * time_s
    for side, shift in (("left", 0.0), ("right", np.pi)):
        for part, degrees, later in (("hip", 22, 0.0), ("knee", 38, 0.5), ("ankle", 12, 1.0)):
            angles[:, JOINT[f"{side}_{part}"], FLEXION] += np.deg2rad(degrees) * np.cos(phase + shift + later)
    angles[:, JOINT["pelvis"], ABDUCTION] += np.deg2rad(4) * np.sin(phase)
