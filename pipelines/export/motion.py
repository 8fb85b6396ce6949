"""A lifted track at even times with y up, from which BVH, TRC, C3D and glTF files are made.

- Metres. x right, y up, z towards the camera. With a trajectory, the camera is above the origin (at it, if the track is
  not levelled), so people of one video keep their places. Without one, the pelvis stays above the origin, at the height
  that puts the lowest joint of each frame on the ground.
- These formats have a constant frame time. Frames at uneven times are interpolated at their mean rate, and all at
  another one if it is asked for.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from pipelines.export.skeleton import Skeleton, place_joints, skeleton_of
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout

# Camera axes (x right, y down, z forward) become y-up axes by half a turn about x.
_Y_UP = np.array([1.0, -1.0, -1.0])
# Timestamps that deviate by less than this, s, count as even, because they may be rounded to milliseconds.
_EVEN_S = 1e-3
# The frame rate, frames/s, of a track that is too short to measure it.
_ANY_FPS = 30.0


@dataclass(frozen=True)
class Motion:
    """A person over time.

    Attributes:
        skeleton: The joints, and the tree of bones between them.
        frame_time_s: Seconds from one frame to the next.
        start_s: Time of the first frame in the video, s.
        joints: Positions, metres, y up.
        nearest: The frame of the track that is nearest to each frame.
    """

    skeleton: Skeleton
    frame_time_s: float
    start_s: float
    joints: Float64[np.ndarray, "frames joints 3"]
    nearest: Int[np.ndarray, " frames"]

    @property
    def root(self) -> Float64[np.ndarray, "frames 3"]:
        """Positions of the pelvis."""
        return self.joints[:, self.skeleton.root]

    def frames_before(self, video_start_s: float | None) -> int:
        """Frames of this length between the start of the video and the first frame of the track.

        Args:
            video_start_s: When the video begins, s; None: with the track.
        """
        return 0 if video_start_s is None else max(0, round((self.start_s - video_start_s) / self.frame_time_s))


def motion_of(lifted: LiftedTrack, fps: float | None = None) -> Motion:
    """The motion of a track; the module's docstring describes its space.

    Args:
        lifted: The track.
        fps: Frame rate of the motion; None: the mean rate of the track.
    """
    names = layout(lifted.layout)
    skeleton = skeleton_of(names)
    frame_time_s, shares = _even_frames(lifted, fps)
    joints = place_joints(names, _between(lifted.positions.astype(np.float64), shares)) * _Y_UP
    if lifted.trajectory is not None:
        joints = joints + (_between(lifted.trajectory.astype(np.float64), shares) * _Y_UP)[:, None]
    else:
        ground = joints[:, skeleton.root] * [1.0, 0.0, 1.0] + joints[..., 1].min(axis=1)[:, None] * [0.0, 1.0, 0.0]
        joints = joints - ground[:, None]
    nearest = np.rint(shares).astype(np.int64)
    return Motion(skeleton, frame_time_s, float(lifted.timestamps_s[0]), joints, nearest)


def video_start_s(lifted: LiftedTrack) -> float:
    """When the video of a track begins, s: the frames before the track are assumed to have the video's rate."""
    known = np.isfinite(lifted.fps) and lifted.fps > 0
    before_s = lifted.start_frame / lifted.fps if known else lifted.start_frame * _even_frames(lifted)[0]
    return float(lifted.timestamps_s[0] - before_s)


def _even_frames(lifted: LiftedTrack, fps: float | None = None) -> tuple[float, Float64[np.ndarray, " frames"]]:
    """Frame time (s), and the position of each even frame among those of the track, which may be between two."""
    times, frames = lifted.timestamps_s, np.arange(len(lifted), dtype=np.float64)
    if len(times) < 2 or not (np.diff(times) > 0).all():
        known = np.isfinite(lifted.fps) and lifted.fps > 0
        return 1 / (lifted.fps if known else _ANY_FPS), frames
    if fps is not None:
        count = int((times[-1] - times[0]) * fps + _EVEN_S) + 1
        return 1 / fps, np.interp(times[0] + np.arange(count) / fps, times, frames)
    even = np.linspace(times[0], times[-1], len(times))
    is_even = abs(even - times).max() <= _EVEN_S
    return float(even[1] - even[0]), frames if is_even else np.interp(even, times, frames)


def _between(values: np.ndarray, places: Float64[np.ndarray, " frames"]) -> np.ndarray:
    """Values at places between frames, interpolated linearly."""
    before = np.floor(places).astype(np.int64)
    after = np.minimum(before + 1, len(values) - 1)
    share = (places - before).reshape(-1, *[1] * (values.ndim - 1))
    return values[before] + share * (values[after] - values[before])
