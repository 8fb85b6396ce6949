"""The feet of a lifted track: where the tips of the feet are in space, from where they are in the picture.

Lifters predict bodies as far as the ankles. A foot, from the ankle to its tip, is as long in every frame. So its tip is
where the viewing ray of the tip meets the sphere of that radius around the ankle: at two places, one nearer to the
camera than the other; or, if the ray misses the sphere, where it is nearest to the ankle.

1. Which of the two it is: the path of all frames (Viterbi) that costs least. A foot costs the more the farther it is
   from where feet usually point (forward of the shank and down) and the more it turns between two frames.
2. The path is smoothed: the sum of the distances from the rays, from the chosen places (along the line of sight), from
   where feet usually point, and of the accelerations becomes least, each divided by its usual size.

Frames in which a foot is not seen get what continuity and the body around it suggest.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.linalg import solveh_banded

SIDES = ("left", "right")
# The length of a foot from the ankle to its tip, as a share of the length of the shank. Winter, Biomechanics and Motor
# Control of Human Movement (after Drillis and Contini 1966), of a stature of 1: the shank is 0.246, the foot 0.152, the
# ankle 0.039 above the sole; a quarter of the foot is behind the ankle. So it is sqrt(0.114² + 0.039²) / 0.246.
FOOT_PER_SHANK = 0.49
# Where a foot usually points: so far down from a right angle to the shank (by the same measures, atan(0.039 / 0.114)),
# and outwards, degrees; and how far it differs from that, degrees.
_DOWN_DEG, _OUT_DEG, _SPREAD_DEG = 20.0, 8.0, 25.0
# The ankle's range: dorsiflexion (degrees, 0 is a right angle to the shank) beyond these costs much.
_RANGE_DEG, _BEYOND_DEG = (-60.0, 30.0), 5.0
# How fast a foot usually turns, radians/s.
_TURNS_PER_S = 4.0
# The usual size of each term of the smoothing, as shares of the length of the foot (0.3 is 17 degrees); and
# accelerations, lengths/s². Keypoints are off by 1 to 1.5 % of a stature, which is 0.15 of a foot.
_RAY, _ALONG, _USUAL, _ACCELERATION = 0.15, 0.3, 0.3, 60.0
# A foot that points farther from where feet usually point, in units of `_USUAL`, is drawn there less (Huber's weight).
_LINEAR = 1.0
# A knee that is bent shows better than the hips which way a leg looks.
_KNEE_WEIGHT = 2.0
_TINY = 1e-9


@dataclass(frozen=True)
class Leg:
    """A leg over time, in camera space (m), and the rays of its foot.

    Attributes:
        hip: The hip.
        knee: The knee.
        ankle: The ankle.
        right_of_hips: From the left to the right hip.
        side: -1: left, 1: right.
        slopes: Viewing rays of the ankle and of the tip of the foot.
        visible: Whether both were seen.
    """

    hip: Float64[np.ndarray, "frames 3"]
    knee: Float64[np.ndarray, "frames 3"]
    ankle: Float64[np.ndarray, "frames 3"]
    right_of_hips: Float64[np.ndarray, "frames 3"]
    side: int
    slopes: Float64[np.ndarray, "frames 2 2"]
    visible: Bool[np.ndarray, " frames"]


def foot_of(
    leg: Leg, times_s: Float64[np.ndarray, " frames"], per_shank: float = FOOT_PER_SHANK
) -> Float64[np.ndarray, "frames 3"]:
    """The vectors from the ankle to the tip of a foot, m, of one length in all frames.

    Args:
        leg: The leg.
        times_s: When each frame is shown.
        per_shank: The length of the foot as a share of the shank's.
    """
    length_m = per_shank * float(np.median(np.linalg.norm(leg.ankle - leg.knee, axis=1)))
    usual = usual_direction(leg)
    # The ankle on its own ray, so that a lifted pose that misses its keypoints does not turn the foot.
    ankle = leg.ankle[:, 2:] * np.concatenate([leg.slopes[:, 0], np.ones((len(usual), 1))], axis=1)
    rays = np.concatenate([leg.slopes[:, 1], np.ones((len(usual), 1))], axis=1)
    places = places_of(ankle, rays, length_m) / length_m
    chosen = _path(places, usual, -_unit(leg.ankle - leg.knee), leg.visible, times_s)
    picked = places[np.arange(len(places)), chosen]
    return length_m * _unit(_smoothed(picked, usual, (ankle / length_m, rays), leg.visible, times_s))


def usual_direction(leg: Leg) -> Float64[np.ndarray, "frames 3"]:
    """Where the foot of a leg usually points, unit vectors."""
    shank, thigh = _unit(leg.ankle - leg.knee), _unit(leg.knee - leg.hip)
    # Thigh and shank of a bent knee span the plane in which the foot lies; their cross product points to the left.
    right = _unit(leg.right_of_hips) - _KNEE_WEIGHT * np.cross(thigh, shank)
    forward = _unit(np.cross(-shank, right))
    outwards = leg.side * _unit(np.cross(forward, -shank))
    down, out = np.radians([_DOWN_DEG, _OUT_DEG])
    level = np.cos(out) * forward + np.sin(out) * outwards
    return np.cos(down) * level + np.sin(down) * shank


def places_of(
    ankle: Float64[np.ndarray, "frames 3"], rays: Float64[np.ndarray, "frames 3"], length_m: float
) -> Float64[np.ndarray, "frames 2 3"]:
    """From the ankle to the near and the far point at which a ray meets the sphere around it."""
    rays = _unit(rays)
    middle = (ankle * rays).sum(1)
    across = middle[:, None] * rays - ankle
    half = np.sqrt(np.maximum(length_m**2 - (across**2).sum(1), 0))
    both = across[:, None] + half[:, None, None] * np.array([-1.0, 1.0])[:, None] * rays[:, None]
    return length_m * _unit(both)


def _path(
    places: Float64[np.ndarray, "frames 2 3"],
    usual: Float64[np.ndarray, "frames 3"],
    up: Float64[np.ndarray, "frames 3"],
    visible: Bool[np.ndarray, " frames"],
    times_s: Float64[np.ndarray, " frames"],
) -> Int64[np.ndarray, " frames"]:
    """Which of the two places each frame has, 0: near, 1: far."""
    away_deg = np.degrees(np.arccos(np.clip((places * usual[:, None]).sum(-1), -1, 1)))
    flexion_deg = np.degrees(np.arcsin(np.clip((places * up[:, None]).sum(-1), -1, 1)))
    beyond_deg = np.maximum(flexion_deg - _RANGE_DEG[1], 0) + np.maximum(_RANGE_DEG[0] - flexion_deg, 0)
    own = 0.5 * ((away_deg / _SPREAD_DEG) ** 2 + (beyond_deg / _BEYOND_DEG) ** 2)
    chosen = np.zeros(len(places), np.int64)
    frames = np.flatnonzero(visible)
    if not len(frames):
        return chosen
    own, known = own[frames], places[frames]
    usual_turn = _TURNS_PER_S * np.maximum(np.diff(times_s[frames]), 1e-3)
    turns = np.linalg.norm(known[1:, None] - known[:-1, :, None], axis=-1) / usual_turn[:, None, None]
    # Beyond three times the usual turn, the cost grows in proportion, so that single wrong keypoints break no path.
    moves = np.where(turns < 3, 0.5 * turns**2, 3 * turns - 4.5)
    costs, back = own[0], np.zeros((len(moves), 2), np.int64)
    for step, move in enumerate(moves):
        total = costs[:, None] + move
        back[step] = total.argmin(0)
        costs = total.min(0) + own[step + 1]
    state = int(costs.argmin())
    for step in range(len(moves), -1, -1):
        chosen[frames[step]] = state
        state = int(back[step - 1][state]) if step else state
    return chosen


def _smoothed(
    picked: Float64[np.ndarray, "frames 3"],
    usual: Float64[np.ndarray, "frames 3"],
    sight: tuple[Float64[np.ndarray, "frames 3"], Float64[np.ndarray, "frames 3"]],
    visible: Bool[np.ndarray, " frames"],
    times_s: Float64[np.ndarray, " frames"],
) -> Float64[np.ndarray, "frames 3"]:
    """The least squares of all terms, in lengths of the foot: a banded system of linear equations."""
    frames = len(picked)
    rays = _unit(sight[1])
    along = rays[:, :, None] * rays[:, None]
    across = np.eye(3) - along
    weight = across / _RAY**2 + along / _ALONG**2
    away = np.where(visible, np.linalg.norm(picked - usual, axis=1), 0) / _USUAL
    drawn = (_LINEAR / np.maximum(away, _LINEAR))[:, None] / _USUAL**2
    blocks = weight * visible[:, None, None] + np.eye(3) * drawn[..., None]
    sides = (weight @ picked[..., None])[..., 0] * visible[:, None] + usual * drawn
    # Upper bands of a matrix whose unknowns are ordered by frame, then by axis: row 6 is the diagonal.
    bands = np.zeros((7, 3 * frames))
    for row in range(3):
        for column in range(row, 3):
            bands[6 - (column - row), column::3] = blocks[:, row, column]
    if frames > 2:
        steps = np.maximum(np.diff(times_s), 1e-3)
        mean = (steps[1:] + steps[:-1]) / 2
        second = np.stack([1 / steps[:-1], -1 / steps[:-1] - 1 / steps[1:], 1 / steps[1:]], 1) / mean[:, None]
        second /= _ACCELERATION
        for first in range(3):
            for last in range(first, 3):
                products = np.repeat(second[:, first] * second[:, last], 3)
                offset = 3 * (last - first)
                bands[6 - offset, 3 * last : 3 * (last + frames - 2)] += products
    return solveh_banded(bands, sides.ravel()).reshape(frames, 3)


def _unit(vectors: Float64[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _TINY)
