"""People over time as sequences that can be compared: limbs at one rate, without place, size and, lifted, direction."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64

from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.tracks.normalised import LIMBS, limbs, mirrored, normalised_poses
from pipelines.tracks.resample import frame_times, resample
from schemas.errors import UserError
from schemas.layouts import joint_indices, layout

# Frames per second at which sequences are compared.
RATE = 15.0
# A difference of velocities counts as much as the difference of poses that it causes in this time, s. Without
# velocities, a rising arm looks like a sinking one.
_VELOCITY_S = 0.15
# Joints that hardly move are weighted as if their variance were this share of the mean one.
_AT_REST = 0.1
_SHOULDERS, _HIPS = ([LIMBS.index(f"{side}_{joint}") for side in ("left", "right")] for joint in ("shoulder", "hip"))


@dataclass(frozen=True)
class Sequence:
    """A person over time, at `RATE`.

    Attributes:
        track_id: Of the track.
        video: Of the track.
        start_s: When the first frame is shown, s of the video.
        poses: The limbs in trunk sizes, 2D or 3D.
        trunk_m: Length of the trunk, m; None where lengths are not known.
    """

    track_id: str
    video: str
    start_s: float
    poses: Float32[np.ndarray, "frames joints dims"]
    trunk_m: float | None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.poses)

    @property
    def stop_s(self) -> float:
        """When the last frame is shown, s of the video."""
        return self.time_s(len(self) - 1)

    def time_s(self, frame: float) -> float:
        """When a frame is shown, s of the video."""
        return self.start_s + frame / RATE

    def frame(self, time_s: float) -> int:
        """The frame that is shown at a time of the video."""
        return min(max(0, round((time_s - self.start_s) * RATE)), len(self) - 1)

    def part(self, start_s: float | None, stop_s: float | None) -> "Sequence":
        """The frames between two times of the video."""
        first = 0 if start_s is None else self.frame(start_s)
        stop = len(self) if stop_s is None else self.frame(stop_s) + 1
        return replace(self, start_s=self.start_s + first / RATE, poses=self.poses[first:stop])

    def mirrored(self) -> "Sequence":
        """The mirror image of the sequence."""
        return replace(self, poses=mirrored(self.poses))

    def moving(self) -> Float32[np.ndarray, " joints"]:
        """How much each joint moves, relative to the others: the mean of the squares is 1."""
        variances = self.poses.var(axis=0).sum(axis=-1)
        variances = variances + _AT_REST * variances.mean() + 1e-9
        return np.sqrt(variances / variances.mean()).astype(np.float32)

    def features(self, weights: Float32[np.ndarray, " joints"] | None = None) -> Float32[np.ndarray, "frames features"]:
        """Poses and velocities, whose Euclidean distance is the RMS distance of the joints, in trunk sizes.

        Args:
            weights: Of the joints, with a mean square of 1; None: all are equal.
        """
        velocities = np.gradient(self.poses, 1 / RATE, axis=0) if len(self) > 1 else np.zeros_like(self.poses)
        both = np.concatenate([self.poses, _VELOCITY_S * velocities], axis=-1)
        weighted = both if weights is None else both * weights[:, None]
        return (weighted.reshape(len(self), -1) / np.sqrt(len(LIMBS))).astype(np.float32)


def of_keypoints(track: KeypointTrack) -> Sequence:
    """The sequence of a keypoint track.

    Raises:
        UserError: Its layout lacks a limb, it has no frame rate, or shoulders and hips are never seen together.
    """
    even = resample(limbs(track), RATE)
    poses = normalised_poses(even)
    if not np.isfinite(poses).any():
        raise UserError(f"track {track.track_id}: shoulders and hips are never seen together; give another track")
    return Sequence(track.track_id, track.video, float(even.timestamps_s[0]), _filled(poses), None)


def of_lifted(track: LiftedTrack) -> Sequence:
    """The sequence of a lifted track: the body turned so that its hips lie across, up as in the camera.

    Raises:
        UserError: Its layout lacks a limb, or it has no frame rate.
    """
    order = list(joint_indices(layout(track.layout), LIMBS))
    clock = frame_times(track.track_id, track.timestamps_s, track.fps)
    times = np.arange(clock[0], clock[-1] + 1e-6, 1 / RATE)
    flat = track.positions[:, order].reshape(len(clock), -1)
    even = np.stack([np.interp(times, clock, column) for column in flat.T], axis=1).reshape(len(times), -1, 3)
    poses, trunk_m = _body_frame(even)
    return Sequence(track.track_id, track.video, float(times[0]), poses, trunk_m)


def _body_frame(
    positions: Float64[np.ndarray, "frames joints 3"],
) -> tuple[Float32[np.ndarray, "frames joints 3"], float]:
    """Poses in axes of the hips and of up, in trunk lengths, and the length of the trunk."""
    hips, shoulders = positions[:, _HIPS].mean(1, keepdims=True), positions[:, _SHOULDERS].mean(1, keepdims=True)
    trunk_m = float(np.median(np.linalg.norm(shoulders - hips, axis=-1)))
    across = positions[:, _HIPS[0]] - positions[:, _HIPS[1]]
    across[:, 1] = 0  # the camera's y axis points down
    across /= np.linalg.norm(across, axis=1, keepdims=True).clip(1e-6)
    down = np.broadcast_to([0.0, 1.0, 0.0], across.shape)
    axes = np.stack([across, down, np.cross(across, down)], axis=-1)
    return (((positions - hips) @ axes) / max(trunk_m, 1e-6)).astype(np.float32), trunk_m


def _filled(poses: Float[np.ndarray, "frames joints dims"]) -> Float32[np.ndarray, "frames joints dims"]:
    """Poses with unseen joints interpolated over time; joints that are never seen are put at the origin."""
    flat = poses.reshape(len(poses), -1).copy()
    frames = np.arange(len(flat))
    for column in flat.T:
        known = np.isfinite(column)
        column[:] = np.interp(frames, frames[known], column[known]) if known.any() else 0.0
    return flat.reshape(poses.shape).astype(np.float32)
