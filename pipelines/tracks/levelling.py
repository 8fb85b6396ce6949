"""Finds the up direction and the ground of a video from the people in it.

Lifted tracks are in the space of the camera. Where the camera was tilted, people lean and the ground slopes. Two things
show which way is up: the directions from feet to shoulders, where people stand upright most of the time; and the ground
itself, where they walk about. The ground is the plane through their footsteps.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial.transform import Rotation

from pipelines.tracks.footsteps import footsteps
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout, without_feet

# At most this many frames of a track are used; more do not change the result visibly.
SAMPLED_FRAMES = 4000
# Without footsteps, this percentile of the lowest joint's height is taken for the ground: feet are on it most of the
# time, and lower values are noise.
_GROUND = 5
# Usual error of a footstep's height, m, and of the ground's slope: if upright people show it, and if nothing shows it.
_STEP_M, _UPRIGHT_SLOPE, _UNKNOWN_SLOPE = 0.07, 0.06, 0.2
# Usual difference between the ground that a person seems to stand on and the common ground, m.
_PERSON_M = 0.1
# Footsteps that are farther from the ground than this, m, are on another object, or wrong.
_ON_GROUND_M = 0.1
# In each round of least squares, the weight of a footstep follows from its distance (Cauchy's weights). The distance at
# which the weight is half falls from metres to the usual error, so that a wrong beginning loses no footsteps.
_HALF_WEIGHT_M = (2.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.05, 0.05, 0.05)
# Tilts in degrees. Smaller ones are ignored, because walking and jogging alone shift the estimate by 1 to 3 (synthetic
# actions). A person who leans by more than the largest does not count as standing.
_LEAST_TILT, _LARGEST_TILT = 4.0, 40.0
# A person stands if the distance from feet to shoulders is at least this share of its largest.
_STANDING = 0.85
# The up direction in camera space, whose y axis points down.
_UP = np.array([0.0, -1.0, 0.0])
# From a level camera's axes (x right, y down, z forward) to the world's: x right, y away from the camera, z up.
_WORLD_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Levelling:
    """How to turn the space of a camera so that the people in its picture stand upright, on level ground.

    Attributes:
        turn: Rotation from the camera's axes to those of a level camera: x right, y down, z forward.
        tilt_deg: Tilt of the camera that the rotation takes out, degrees; 0 if it is small or cannot be estimated.
        ground_m: How far the ground is below the camera, m; below the roots where a trajectory is unknown.
        footsteps: Number of footsteps that were seen.
        ground_confidence: Share of their time that is within 0.1 m of the ground; 0 if the ground was not found by
            footsteps, but is where the lowest joints are.
    """

    turn: Float64[np.ndarray, "3 3"]
    tilt_deg: float
    ground_m: float
    footsteps: int = 0
    ground_confidence: float = 0.0

    @property
    def world_axes(self) -> Float64[np.ndarray, "3 3"]:
        """Rotation from camera space to the world: x right, y away from the camera, z up."""
        return _WORLD_AXES @ self.turn


def levelling_of(tracks: Iterable[LiftedTrack], levelled: bool = True) -> Levelling:
    """The levelling of a video.

    Args:
        tracks: The people of one video, at least one; read once.
        levelled: Whether to look for a tilt; without, the space keeps the camera's own axes.
    """
    upright, points, steps, frames, travels = [], [], [], 0, True
    for track in tracks:
        upright.append(_standing(track))
        steps.append(footsteps(track, _upright(upright[-1], len(track))[0]))
        every = slice(None, None, max(1, len(track) // SAMPLED_FRAMES))
        # Ankles mark the ground; tips of feet are known of some tracks only.
        body = slice(len(without_feet(layout(track.layout))))
        points.append((track.positions[every, body], None if track.trajectory is None else track.trajectory[every]))
        frames, travels = frames + len(track), travels and track.trajectory is not None
    up, shown = _upright(np.concatenate(upright), frames) if levelled else (_UP, False)
    places, seconds = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    if travels and len(places):
        slope = (_UPRIGHT_SLOPE if shown else _UNKNOWN_SLOPE) if levelled else 0.0
        people = np.repeat(np.arange(len(steps)), [len(durations) for _, durations in steps])
        turn, tilt_deg, ground_m, confidence = _ground(places, seconds, people, up, slope)
        return Levelling(turn, tilt_deg, ground_m, len(places), confidence)
    turn, tilt_deg = _turn(up)
    depths = []
    for positions, trajectory in points:
        placed = positions if not travels or trajectory is None else positions + trajectory[:, None]
        depths.append((placed @ turn[1]).max(axis=1))
    return Levelling(turn, tilt_deg, float(np.percentile(np.concatenate(depths), 100 - _GROUND)))


def levelled(track: LiftedTrack, levelling: Levelling) -> LiftedTrack:
    """A track in the axes of a level camera (x right, y down, z forward), with the ground at y = 0.

    Without a trajectory, only its axes change.
    """
    turn = levelling.turn.T.astype(np.float32)
    trajectory = track.trajectory
    if trajectory is not None:
        trajectory = trajectory @ turn - np.array([0, levelling.ground_m, 0], np.float32)
    return replace(track, positions=track.positions @ turn, trajectory=trajectory)


def _upright(directions: Float64[np.ndarray, "standing 3"], frames: int) -> tuple[Float64[np.ndarray, "3"], bool]:
    """The up direction in camera space from upright people, and True; the camera's up and False without enough of them.

    Args:
        directions: From feet to shoulders, in the frames in which somebody stands.
        frames: Number of frames in all.
    """
    # People who lie, sit or hang most of the time do not show which way is up.
    if len(directions) <= frames / 4:
        return _UP, False
    up = np.median(directions, axis=0)
    return up / np.linalg.norm(up), True


def _turn(up: Float64[np.ndarray, "3"]) -> tuple[Float64[np.ndarray, "3 3"], float]:
    """(rotation, degrees of tilt): the smallest rotation that turns this direction up; identity if small."""
    tilt_deg = float(np.degrees(np.arccos(np.clip(np.dot(up, _UP), -1, 1))))
    if tilt_deg < _LEAST_TILT:
        return np.eye(3), 0.0
    about = np.cross(up, _UP)
    return Rotation.from_rotvec(about / np.linalg.norm(about) * tilt_deg, degrees=True).as_matrix(), tilt_deg


def _ground(
    places: Float64[np.ndarray, "steps 3"],
    seconds: Float64[np.ndarray, " steps"],
    people: Int64[np.ndarray, " steps"],
    up: Float64[np.ndarray, "3"],
    slope: float,
) -> tuple[Float64[np.ndarray, "3 3"], float, float, float]:
    """The plane through footsteps: rotation that levels it, its tilt (degrees), its height and its confidence.

    The plane is found by weighted least squares in a space in which `up` is up. There its slopes are small, and are
    held near zero by `slope`: few footsteps, or those on one spot, leave `up` as it is. A person who is lifted larger
    than in truth stands too far away and too low, so each person has a ground of their own near the common one.
    """
    about = np.cross(up, _UP)
    turn = Rotation.align_vectors(_UP[None], up[None])[0].as_matrix() if np.linalg.norm(about) > 1e-9 else np.eye(3)
    turned = places @ turn.T
    design = np.column_stack([turned[:, 0], turned[:, 2], np.ones(len(turned))])
    plane, own = np.array([0.0, 0.0, np.median(turned[:, 1])]), np.zeros(people.max() + 1)
    weights = seconds
    for half_m in _HALF_WEIGHT_M:
        weights = seconds / (1 + ((turned[:, 1] - design @ plane - own[people]) / half_m) ** 2)
        plane, own = _fitted_plane(design, turned[:, 1], weights / _STEP_M**2, people, slope)
    # The y axis points down, so the plane y = a x + b z + c has this normal, which points up.
    normal_up = np.array([plane[0], -1.0, plane[1]])
    turn, tilt_deg = _turn(turn.T @ normal_up / np.linalg.norm(normal_up)) if slope else (np.eye(3), 0.0)
    heights = places @ turn[1]
    ground_m = _weighted_median(heights, weights)
    near = np.abs(heights - ground_m) < _ON_GROUND_M
    return turn, tilt_deg, ground_m, float(seconds[near].sum() / seconds.sum())


def _fitted_plane(
    design: Float64[np.ndarray, "steps 3"],
    heights: Float64[np.ndarray, " steps"],
    weights: Float64[np.ndarray, " steps"],
    people: Int64[np.ndarray, " steps"],
    slope: float,
) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, " people"]]:
    """The plane of least squares, and how much lower each person's own ground is.

    The grounds of people are eliminated from the normal equations (Schur complement), so that memory does not grow with
    people times footsteps.
    """
    weighted = design * weights[:, None]
    by_person = np.stack([np.bincount(people, column) for column in weighted.T], axis=1)
    heights_by_person = np.bincount(people, weights * heights)
    own_normal = np.bincount(people, weights) + _PERSON_M**-2
    normal = design.T @ weighted + np.diag([max(slope, 1e-9) ** -2] * 2 + [0.0])
    normal -= by_person.T @ (by_person / own_normal[:, None])
    plane = np.linalg.solve(normal, weighted.T @ heights - by_person.T @ (heights_by_person / own_normal))
    return plane, (heights_by_person - by_person @ plane) / own_normal


def _weighted_median(values: Float64[np.ndarray, " values"], weights: Float64[np.ndarray, " values"]) -> float:
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, passed[-1] / 2)])


def _standing(track: LiftedTrack) -> Float64[np.ndarray, "standing 3"]:
    """Directions from feet to shoulders in camera space, for the frames in which the person stands."""
    joints = layout(track.layout)
    ends = [[joints.index(f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "ankle")]
    shoulders, feet = (track.positions[:, end].mean(axis=1, dtype=np.float64) for end in ends)
    lengths = np.linalg.norm(shoulders - feet, axis=1)
    directions = (shoulders - feet) / np.maximum(lengths, 1e-6)[:, None]
    upright = directions @ _UP > np.cos(np.radians(_LARGEST_TILT))
    return directions[(lengths > _STANDING * np.percentile(lengths, 95)) & upright]
