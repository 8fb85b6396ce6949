"""When and where a scene plays: one timeline for all its people, and one space, z up, that holds them.

Lifted positions are in camera space (x right, y down, z forward); shown are x, z and -y, so that up is up and whoever
looks along the second axis sees what the camera saw. A camera that looks down would make everybody lean and the ground
a slope: where people stand upright most of the time, the space is levelled by how they stand.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from pipelines.report.poses.scene import Scene
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.video.info import VideoInfo
from schemas.errors import UserError
from schemas.layouts import layout

# Where nobody's path is known, people stand side by side this far apart, m.
_APART_M = 1.4
# Frames looked at for the size of the space; more change nothing that anybody sees.
_SAMPLED_FRAMES = 4000
# Percentiles: a frame lifted wrongly must not make everybody else small.
_BULK = (0.5, 99.5)
# Percentile of the lowest joints that is taken for the ground: feet are on it most of the time, and noise below.
_GROUND = 5
_MARGIN_M = 0.25

# Degrees: by so much the way people walk and jog leads the estimate of the camera's tilt astray (1 to 3 over the
# synthetic actions), and beyond so much they do not stand.
_LEAST_TILT, _LARGEST_TILT = 4.0, 40.0
# Somebody stands whose shoulders are this near to their largest distance from the feet.
_STANDING = 0.85

_ALL = slice(None)
# Camera space's own up, and the axes of an untilted camera: x, z, -y.
_UP = np.array([0.0, -1.0, 0.0])
_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Timeline:
    """The frames that a scene shows: from the first in which anybody is to the last.

    Attributes:
        first: Number of the first frame in the video.
        timestamps_s: When each frame is shown, s.
        cut: Frames left out at the end, because they were too many.
    """

    first: int
    timestamps_s: Float64[np.ndarray, " frames"]
    cut: int

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.timestamps_s)

    @classmethod
    def of(cls, scene: Scene, info: VideoInfo | None, longest: int | None = None) -> "Timeline":
        """The timeline of a scene.

        Args:
            scene: Who is to be shown.
            info: What `probe` said of its video.
            longest: Frames at most.

        Raises:
            UserError: The video has none of the frames: it is another one.
        """
        tracks = [person.lifted for person in scene.people]
        first = min(track.start_frame for track in tracks)
        frames = max(track.start_frame + len(track) for track in tracks) - first
        if info is not None:
            if first >= info.frame_count:
                raise UserError(
                    f"video: {scene.video} has {info.frame_count} frames, and the first person comes in frame {first}; "
                    "name the video that these tracks are of"
                )
            frames = min(frames, info.frame_count - first)
        shown = min(frames, longest or frames)
        if info is not None:
            times = info.timestamps_s[first : first + shown]
        else:
            known = {t.start_frame + i: at for t in tracks for i, at in enumerate(t.timestamps_s)}
            numbers = np.array(sorted(known))
            times = np.interp(np.arange(first, first + shown), numbers, [known[number] for number in numbers])
        return cls(first, np.asarray(times, np.float64), frames - shown)


@dataclass(frozen=True)
class Stage:
    """The space that a scene plays in, m: x right, y away from the camera, z up.

    Attributes:
        low: Corner of the box that people stay in, all but a few frames; its z is the ground.
        high: The opposite corner.
        cell_m: Side of the squares of the ground; the box is whole squares wide and deep.
        travels: Whether people move through space; else their roots stand still, side by side.
        axes: From camera space to this space; a rotation.
        tilt_deg: How far the camera looks away from the horizon, taken out; 0 if it is little or cannot be told.
    """

    low: Float64[np.ndarray, "3"]
    high: Float64[np.ndarray, "3"]
    cell_m: float
    travels: bool
    axes: Float64[np.ndarray, "3 3"]
    tilt_deg: float

    @classmethod
    def of(cls, scene: Scene) -> "Stage":
        """The space of a scene; people move through it if everybody's trajectory is known."""
        tracks = [person.lifted for person in scene.people]
        travels = all(track.trajectory is not None for track in tracks)
        axes, tilt_deg = _level(tracks)
        bounds, lowest = [], []
        for index, track in enumerate(tracks):
            every = slice(None, None, max(1, len(track) // _SAMPLED_FRAMES))
            roots = _roots(track, every, _place(scene, index), axes if travels else None)
            points = track.positions[every] @ axes.T.astype(np.float32) + roots[:, None]
            bounds.append(np.percentile(points.reshape(-1, 3), _BULK, axis=0))
            lowest.append(points[..., 2].min(axis=1))
        low, high = np.min(bounds, axis=(0, 1)) - _MARGIN_M, np.max(bounds, axis=(0, 1)) + _MARGIN_M
        low[2] = np.percentile(np.concatenate(lowest), _GROUND)
        cell_m = _cell_m(float((high - low)[:2].max()))
        low[:2], high[:2] = np.floor(low[:2] / cell_m) * cell_m, np.ceil(high[:2] / cell_m) * cell_m
        return cls(low.astype(np.float64), high.astype(np.float64), cell_m, travels, axes, tilt_deg)

    def positions(self, scene: Scene, person: int, frames: slice = _ALL) -> Float32[np.ndarray, "frames joints 3"]:
        """A person's joints relative to their root, m, in these frames of their track."""
        return scene.people[person].lifted.positions[frames] @ self.axes.T.astype(np.float32)

    def roots(self, scene: Scene, person: int, frames: slice = _ALL) -> Float32[np.ndarray, "frames 3"]:
        """Where a person's root is shown, m, in these frames of their track."""
        return _roots(scene.people[person].lifted, frames, _place(scene, person), self.axes if self.travels else None)


def _place(scene: Scene, person: int) -> Float32[np.ndarray, "3"]:
    """Where a person stands whose path is not known: beside the others."""
    return np.array([(person - (len(scene.people) - 1) / 2) * _APART_M, 0, 0], np.float32)


def _roots(
    track: LiftedTrack, frames: slice, place: Float32[np.ndarray, "3"], axes: Float64[np.ndarray, "3 3"] | None
) -> Float32[np.ndarray, "frames 3"]:
    """By the trajectory, turned into these axes; with none, always in one place."""
    if axes is not None and track.trajectory is not None:
        return track.trajectory[frames] @ axes.T.astype(np.float32)
    return np.tile(place, (len(track.timestamps_s[frames]), 1))


def _level(tracks: list[LiftedTrack]) -> tuple[Float64[np.ndarray, "3 3"], float]:
    """(axes, degrees of tilt): camera axes with y up, turned by the least that makes people stand upright."""
    upright = np.concatenate([_standing(track) for track in tracks])
    up = np.median(upright, axis=0) if len(upright) else _UP
    up = up / np.linalg.norm(up)
    tilt_deg = float(np.degrees(np.arccos(np.clip(np.dot(up, _UP), -1, 1))))
    # Whoever lies, sits or hangs most of the time says nothing of the ground.
    told = len(upright) > sum(map(len, tracks)) / 4 and tilt_deg >= _LEAST_TILT
    if not told:
        return _AXES, 0.0
    about = np.cross(up, _UP)
    turn = Rotation.from_rotvec(about / np.linalg.norm(about) * tilt_deg, degrees=True)
    return _AXES @ turn.as_matrix(), tilt_deg


def _standing(track: LiftedTrack) -> Float64[np.ndarray, "standing 3"]:
    """Camera-space directions from feet to shoulders wherever the person stands."""
    joints = layout(track.layout)
    ends = [[joints.index(f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "ankle")]
    shoulders, feet = (track.positions[:, end].mean(axis=1, dtype=np.float64) for end in ends)
    lengths = np.linalg.norm(shoulders - feet, axis=1)
    directions = (shoulders - feet) / np.maximum(lengths, 1e-6)[:, None]
    upright = directions @ _UP > np.cos(np.radians(_LARGEST_TILT))
    return directions[(lengths > _STANDING * np.percentile(lengths, 95)) & upright]


def _cell_m(extent_m: float) -> float:
    """Squares of half a metre, and larger ones where there would be more than two dozen."""
    return next((cell for cell in (0.5, 1.0, 2.0, 5.0, 10.0) if extent_m / cell <= 24), 50.0)
