"""The poses of many tracks at a low rate, in one array: what tracks are compared by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32, Float64, Int64

from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.normalised import LIMBS, normalised_poses

# Poses per second of video. The rate is high enough to follow what people do, and low enough to hold the poses of a
# whole corpus in memory (480 bytes per second of a track).
RATE = 10.0
COORDINATES = 2 * len(LIMBS)


@dataclass(frozen=True)
class PoseRows:
    """Poses of tracks, those of each track one after another.

    Attributes:
        poses: Coordinates of the limbs, as `normalised_poses` gives them; NaN where a joint was not seen.
        starts: The first row of each track, and the number of all rows.
        steps_s: Time between two rows of each track, s.
    """

    poses: Float16[np.ndarray, "rows coordinates"]
    starts: Int64[np.ndarray, " tracks_and_end"]
    steps_s: Float64[np.ndarray, " tracks"]

    @classmethod
    def of(cls, tracks: Sequence[np.ndarray], steps_s: Sequence[float]) -> "PoseRows":
        """Tracks as `pose_rows` gives them, flat or not."""
        shaped = [np.asarray(rows, np.float16).reshape(-1, COORDINATES) for rows in tracks]
        poses = np.concatenate([np.empty((0, COORDINATES), np.float16), *shaped])
        return cls(poses, np.cumsum([0, *map(len, shaped)]), np.asarray(steps_s, np.float64))

    def __len__(self) -> int:
        """Number of tracks."""
        return len(self.steps_s)

    def of_track(self, track: int) -> Float32[np.ndarray, "rows coordinates"]:
        """The poses of a track."""
        return self.poses[self.starts[track] : self.starts[track + 1]].astype(np.float32)

    def owners(self) -> Int64[np.ndarray, " rows"]:
        """The track of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def complete(self, coordinates: Sequence[int] | slice = slice(None)) -> Int64[np.ndarray, " complete"]:
        """The rows in which all of some coordinates are known."""
        return np.flatnonzero(np.isfinite(self.poses[:, coordinates]).all(axis=1))


def pose_rows(track: KeypointTrack) -> tuple[Float16[np.ndarray, "rows coordinates"], float]:
    """The poses of a track at about `RATE`, each the mean of the frames around it, and the time between two of them, s.

    Args:
        track: Of limbs, at a constant frame rate.
    """
    every = max(1, round(track.fps / RATE))
    poses = normalised_poses(track).reshape(-1, COORDINATES)
    known = np.isfinite(poses)
    starts = np.arange(0, len(poses), every)
    sums = np.add.reduceat(np.where(known, poses, 0), starts, axis=0)
    counts = np.add.reduceat(known.astype(np.float32), starts, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float16), every / track.fps
