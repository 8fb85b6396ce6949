"""Which way is up in a video, and where the ground is, from the people in it.

Lifted tracks are in the space of the camera. Where the camera was tilted, people lean and the ground slopes. Where they
stand upright most of the time, the directions from their feet to their shoulders show which way is up.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout

# Frames of a track that are looked at; more do not change the result visibly.
SAMPLED_FRAMES = 4000
# Percentile of the lowest joint's height that is taken as the ground: feet are on it most of the time, noise is below.
_GROUND = 5
# Degrees. Smaller tilts are ignored: walking and jogging alone shift the estimate by 1 to 3 (synthetic actions).
# A person who leans by more than the largest does not count as standing.
_LEAST_TILT, _LARGEST_TILT = 4.0, 40.0
# A person stands if the distance from feet to shoulders is at least this share of its largest.
_STANDING = 0.85
# The up direction of camera space, whose y points down.
_UP = np.array([0.0, -1.0, 0.0])
# From a level camera's axes (x right, y down, z forward) to those of the world: x right, y away from the camera, z up.
_WORLD_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Levelling:
    """How to turn the space of a camera so that the people in its picture stand upright, on level ground.

    Attributes:
        turn: Rotation from the camera's axes to those of a level camera: x right, y down, z forward.
        tilt_deg: Tilt of the camera that the rotation takes out, degrees; 0 if it is small or cannot be estimated.
        ground_m: How far the ground is below the camera, m; below the roots where a trajectory is unknown.
    """

    turn: Float64[np.ndarray, "3 3"]
    tilt_deg: float
    ground_m: float

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
    upright, points, frames, travels = [], [], 0, True
    for track in tracks:
        upright.append(_standing(track))
        every = slice(None, None, max(1, len(track) // SAMPLED_FRAMES))
        points.append((track.positions[every], None if track.trajectory is None else track.trajectory[every]))
        frames, travels = frames + len(track), travels and track.trajectory is not None
    turn, tilt_deg = _level(np.concatenate(upright), frames) if levelled else (np.eye(3), 0.0)
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


def _level(upright: Float64[np.ndarray, "standing 3"], frames: int) -> tuple[Float64[np.ndarray, "3 3"], float]:
    """(rotation, degrees of tilt): the smallest rotation that makes people upright."""
    up = np.median(upright, axis=0) if len(upright) else _UP
    up = up / np.linalg.norm(up)
    tilt_deg = float(np.degrees(np.arccos(np.clip(np.dot(up, _UP), -1, 1))))
    # People who lie, sit or hang most of the time do not show where up is.
    reliable = len(upright) > frames / 4
    if not reliable or tilt_deg < _LEAST_TILT:
        return np.eye(3), 0.0
    about = np.cross(up, _UP)
    turn = Rotation.from_rotvec(about / np.linalg.norm(about) * tilt_deg, degrees=True)
    return turn.as_matrix(), tilt_deg


def _standing(track: LiftedTrack) -> Float64[np.ndarray, "standing 3"]:
    """Directions from feet to shoulders in camera space, for the frames in which the person stands."""
    joints = layout(track.layout)
    ends = [[joints.index(f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "ankle")]
    shoulders, feet = (track.positions[:, end].mean(axis=1, dtype=np.float64) for end in ends)
    lengths = np.linalg.norm(shoulders - feet, axis=1)
    directions = (shoulders - feet) / np.maximum(lengths, 1e-6)[:, None]
    upright = directions @ _UP > np.cos(np.radians(_LARGEST_TILT))
    return directions[(lengths > _STANDING * np.percentile(lengths, 95)) & upright]
