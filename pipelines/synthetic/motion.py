"""Motion: an action performed by a body that moves over the ground on its own feet.

The root is not animated directly. In each frame the lower sole points stand still, so the rest of the body moves
relative to them: feet never slide, and travelling and turning follow from the joint angles alone.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from pipelines.synthetic.actions import ACTIONS
from pipelines.synthetic.gestures import Take, smooth
from pipelines.synthetic.skeleton import (
    JOINT,
    Body,
    forward_kinematics,
    joint_limits,
    sample_body,
    sole_points,
)
from schemas.errors import UserError

# Standard deviations of the Gaussian smoothing over time, s; real limbs and trunks do not jerk.
_JOINT_SMOOTHING_S = 0.06
_ROOT_SMOOTHING_S = 0.05
# A sole point this much higher than the lowest one carries 1/e of its weight, m.
_CONTACT_M = 0.015


@dataclass(frozen=True)
class Motion:
    """One person in motion, world frame (z up, ground at 0), metres.

    Attributes:
        action: A name of `ACTIONS`.
        fps: Frames per second.
        body: Whose motion it is.
        positions: Joints in layout `h36m17`.
        rotations: Body part to world, for the part that hangs on each joint: at the neck the head, at the
            wrists the hands, at the ankles the feet.
        seat: (x, y, height) of what the person sits on, if the action has one.
    """

    action: str
    fps: float
    body: Body
    positions: Float32[np.ndarray, "frames 17 3"]
    rotations: Float32[np.ndarray, "frames 17 3 3"]
    seat: tuple[float, float, float] | None = None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.positions)

    def moved(self, x_m: float, y_m: float) -> "Motion":
        """The same motion at another place on the ground."""
        seat = self.seat and (self.seat[0] + x_m, self.seat[1] + y_m, self.seat[2])
        positions = self.positions + np.array([x_m, y_m, 0], np.float32)
        return Motion(self.action, self.fps, self.body, positions, self.rotations, seat)

    def at(self, time: float) -> tuple[Float64[np.ndarray, "17 3"], Float64[np.ndarray, "17 3 3"]]:
        """Positions and rotations at a time in frames, interpolated between the two nearest ones."""
        left = int(np.clip(np.floor(time), 0, len(self) - 1))
        right = min(left + 1, len(self) - 1)
        share = float(np.clip(time - left, 0, 1))
        positions, rotations = (values[[left, right]].astype(np.float64) for values in (self.positions, self.rotations))
        if share == 0:
            return positions[0], rotations[0]
        blended = (1 - share) * rotations[0] + share * rotations[1]
        # The nearest rotation to a blend of two (Horn et al. 1988).
        turned, _, back = np.linalg.svd(blended)
        return (1 - share) * positions[0] + share * positions[1], turned @ back


def generate_motion(
    seed: int | np.random.Generator,
    seconds: float,
    fps: float,
    action: str | None = None,
    body: Body | None = None,
) -> Motion:
    """Generate a motion around the origin; the same arguments give the same motion.

    Args:
        seed: A seed, or a generator to draw from.
        seconds: Length, seconds.
        fps: Frames per second.
        action: A name of `ACTIONS`; random if not given.
        body: The person's proportions; random if not given.

    Raises:
        UserError: There is no such action.
    """
    rng = np.random.default_rng(seed)
    body = body or sample_body(rng)
    action = action or str(rng.choice(list(ACTIONS)))
    if action not in ACTIONS:
        raise UserError(f"actions: there is no action {action!r}; known: {', '.join(ACTIONS)}")
    take = Take(np.arange(max(1, round(seconds * fps))) / fps, rng)
    ACTIONS[action](take)
    take.sway()
    # Angles are clipped before smoothing: a weighted mean of allowed angles is allowed.
    angles = smooth(np.clip(take.angles, *joint_limits()), _JOINT_SMOOTHING_S, fps)
    root = _travel(body, angles, smooth(take.lift, _JOINT_SMOOTHING_S, fps), take.support, fps)
    positions, rotations = forward_kinematics(body, angles, root)
    return Motion(
        action=action,
        fps=fps,
        body=body,
        positions=positions.astype(np.float32),
        rotations=rotations.astype(np.float32),
        seat=_seat(body, positions, take.seated),
    )


def _travel(
    body: Body,
    angles: Float64[np.ndarray, "frames 17 3"],
    lift: Float64[np.ndarray, " frames"],
    support: Float64[np.ndarray, "frames 2"],
    fps: float,
) -> Float64[np.ndarray, "frames 3"]:
    """The path of the pelvis that results from the feet, centred on the origin."""
    at_origin = np.zeros((len(angles), 3))
    soles = sole_points(body, *forward_kinematics(body, angles, at_origin))
    lowest = soles[..., 2].min(axis=1)
    # A swinging foot is only a centimetre above the ground, so height alone does not tell which foot carries weight.
    weight = np.repeat(support, 2, axis=1) * np.exp((lowest[:, None] - soles[..., 2]) / _CONTACT_M)
    weight /= weight.sum(axis=1, keepdims=True)
    steps = -(0.5 * (weight[1:] + weight[:-1])[..., None] * np.diff(soles[..., :2], axis=0)).sum(axis=1)
    root = at_origin
    root[1:, :2] = np.cumsum(steps, axis=0)
    root[:, 2] = lift - lowest
    root = smooth(root, _ROOT_SMOOTHING_S, fps)
    root[:, :2] -= (root[:, :2].min(axis=0) + root[:, :2].max(axis=0)) / 2
    return root


def _seat(
    body: Body, positions: Float64[np.ndarray, "frames 17 3"], seated: Float64[np.ndarray, " frames"]
) -> tuple[float, float, float] | None:
    if seated.max(initial=0) < 0.5:
        return None
    sitting = positions[seated > 0.9 * seated.max()]
    hips = sitting[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=(0, 1))
    # The hip joint is about 5 % of the stature above the seat.
    return float(hips[0]), float(hips[1]), float(hips[2] - 0.05 * body.stature)
