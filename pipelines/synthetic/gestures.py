"""Building blocks of actions: joint angles as smooth functions of time."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d

from pipelines.synthetic.skeleton import ABDUCTION, FLEXION, JOINT, JOINTS, ROTATION

Curve = Float64[np.ndarray, " frames"]
# Tests check annotations at run time, where an int does not count as a float.
Real = float | int


@dataclass
class Take:
    """One action under construction.

    Attributes:
        time_s: Time of each frame.
        rng: Random source of this take's style.
        angles: Joint angles in the anatomical sense, radians.
        lift: Height of the lower sole above the ground, metres.
        support: How far the left and the right foot may carry weight, 0 to 1; 0 is a foot that swings forward.
        seated: Share of the weight on the seat, 0 to 1.
    """

    time_s: Curve
    rng: np.random.Generator
    angles: Float64[np.ndarray, "frames 17 3"] = field(init=False)
    lift: Curve = field(init=False)
    support: Float64[np.ndarray, "frames 2"] = field(init=False)
    seated: Curve = field(init=False)

    def __post_init__(self) -> None:
        self.angles = np.zeros((len(self.time_s), JOINTS, 3))
        self.lift = np.zeros(len(self.time_s))
        self.support = np.ones((len(self.time_s), 2))
        self.seated = np.zeros(len(self.time_s))

    def flex(self, joint: str, degrees: Curve | Real) -> None:
        """Add flexion to a joint."""
        self.angles[:, JOINT[joint], FLEXION] += np.deg2rad(degrees)

    def abduct(self, joint: str, degrees: Curve | Real) -> None:
        """Add movement of a limb away from the midline, or of the trunk or head to the left."""
        self.angles[:, JOINT[joint], ABDUCTION] += np.deg2rad(degrees)

    def rotate(self, joint: str, degrees: Curve | Real) -> None:
        """Add outward rotation of a limb, or rotation of the trunk or head to the left."""
        self.angles[:, JOINT[joint], ROTATION] += np.deg2rad(degrees)

    def side(self) -> tuple[str, str]:
        """A random side to act with, and the other side."""
        return ("left", "right") if self.rng.random() < 0.5 else ("right", "left")

    def between(self, low: Real, high: Real) -> float:
        """A random property of the style."""
        return float(self.rng.uniform(low, high))

    def phase(self, hertz: float) -> Curve:
        """A phase (radians) that grows at a rate which varies by a tenth, from a random start."""
        breath = 0.1 * np.sin(2 * np.pi * 0.13 * self.time_s + self.between(0, 2 * np.pi))
        return 2 * np.pi * (hertz * self.time_s + breath) + self.between(0, 2 * np.pi)

    def stand(self) -> None:
        """A relaxed upright stance: feet apart, arms a little away from the body."""
        stance, hang = self.between(3, 8), self.between(7, 14)
        for side in ("left", "right"):
            self.abduct(f"{side}_hip", stance)
            self.rotate(f"{side}_hip", self.between(3, 12))
            self.flex(f"{side}_knee", 4)
            self.flex(f"{side}_hip", 3)
            self.abduct(f"{side}_shoulder", hang)
            self.flex(f"{side}_shoulder", self.between(-4, 6))
            self.flex(f"{side}_elbow", self.between(8, 24))

    def sway(self) -> None:
        """The small, slow movements of a person who stands still."""
        amounts = {"spine": 2.0, "neck": 5.0, "left_shoulder": 3.0, "right_shoulder": 3.0}
        for joint, degrees in amounts.items():
            for turn in (self.flex, self.abduct, self.rotate):
                turn(joint, degrees * self.wander(0.35))
        for joint in ("left_elbow", "right_elbow", "left_wrist", "right_wrist"):
            self.flex(joint, 4 * self.wander(0.4))
        self.abduct("pelvis", 1.2 * self.wander(0.25))

    def head_for(self, degrees_per_s: Real, wander_deg: Real = 15) -> None:
        """Turn the heading at a constant rate from a random start, with some random wandering."""
        start = self.between(0, 360)
        self.rotate("pelvis", start + degrees_per_s * self.time_s + wander_deg * self.wander(0.12))

    def wander(self, hertz: float) -> Curve:
        """A smooth random curve, mostly within ±1: the sum of four sinusoids around a frequency."""
        rates = hertz * self.rng.uniform(0.5, 1.5, 4)
        phases = self.rng.uniform(0, 2 * np.pi, 4)
        return 0.5 * np.sin(2 * np.pi * np.outer(self.time_s, rates) + phases).sum(axis=1)

    def plant_feet(self) -> None:
        """Turn the ankles so that the soles are flat on the ground, for a person who stands on both feet."""
        tilt = self.angles[:, JOINT["pelvis"], FLEXION]
        for side in ("left", "right"):
            hip, knee, ankle = (self.angles[:, JOINT[f"{side}_{part}"]] for part in ("hip", "knee", "ankle"))
            ankle[:, FLEXION] = tilt - hip[:, FLEXION] + knee[:, FLEXION]
            ankle[:, ABDUCTION] = -hip[:, ABDUCTION]


def bump(phase: Curve, at: float, width: float) -> Curve:
    """A periodic bump of height 1.

    Args:
        phase: Radians.
        at: Where in the cycle it peaks, 0 to 1.
        width: Its standard deviation as a share of the cycle (von Mises).
    """
    return np.exp((np.cos(phase - 2 * np.pi * at) - 1) / (2 * np.pi * width) ** 2)


def rise(time_s: Curve, start_s: float, duration_s: float) -> Curve:
    """A curve from 0 to 1, the minimum-jerk curve of Flash and Hogan (1985)."""
    x = np.clip((time_s - start_s) / duration_s, 0, 1)
    return x**3 * (10 + x * (6 * x - 15))


def smooth(values: Float64[np.ndarray, "frames ..."], deviation_s: float, fps: float) -> np.ndarray:
    """Values smoothed over time by a Gaussian of a standard deviation in seconds; the ends are repeated."""
    return gaussian_filter1d(values, deviation_s * fps, axis=0, mode="nearest")


def between_poses(
    time_s: Curve,
    moments_s: Float64[np.ndarray, " poses"],
    values: Float64[np.ndarray, " poses"],
    move_s: float,
) -> Curve:
    """A curve that moves to each value at its moment, along minimum-jerk curves of `move_s` seconds, and then stays."""
    curve = np.full(len(time_s), values[0])
    for moment, before, after in zip(moments_s[1:], values[:-1], values[1:], strict=True):
        curve += (after - before) * rise(time_s, moment, move_s)
    return curve
