"""Resamples tracks to a constant frame rate by interpolation between their timestamps."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float64, Int64

from pipelines.tracks.keypoint_reader import TrackInfo, read_timestamps
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.errors import UserError

# A mean rate within this share of the requested one counts as equal: 29.97 as 30, 59.94 as 60.
_RATE_TOLERANCE = 0.01
# If the step between frames varies by at most this, in frames, no resampling is needed. Timestamps rounded to
# milliseconds vary less, and dropped frames more.
_STEP_TOLERANCE = 0.5
# There are at most this many resampled frames per recorded frame, plus a constant, so that a wrong timestamp cannot
# fill the memory, while pauses of minutes are allowed.
MOST_STRETCH, ALWAYS_ALLOWED_FRAMES = 64, 10_000
# An instant that is closer than this to a recorded frame, in frames, takes that frame, so that half the rate keeps
# every other frame unchanged.
_SNAP = 1e-3


def resample(track: KeypointTrack, fps: float) -> KeypointTrack:
    """The track at `fps` frames/s, from its first frame on; the track itself if it has that rate already.

    Boxes, keypoints and positions are interpolated linearly in time; a score is the lower one of the two frames
    between which it lies, and a frame counts as interpolated if either of them does. A rate 1/n of the recorded one
    keeps every n-th frame unchanged. A track has the rate already if its mean rate is within 1 % of it and no step
    between frames is off by half a frame or more.

    Raises:
        UserError: The track has no frame rate (neither `fps` nor timestamps that increase), or nearly all frames would
            be made up.
    """
    times = _new_times(track.track_id, track.timestamps_s, track.fps, fps)
    if times is None:
        return track
    clock = frame_times(track.track_id, track.timestamps_s, track.fps)
    right = np.clip(np.searchsorted(clock, times, side="right"), 1, len(clock) - 1)
    left = right - 1
    gap = clock[right] - clock[left]
    share = np.clip((times - clock[left]) / np.where(gap > 0, gap, 1), 0, 1)
    share = np.where(share < _SNAP, 0, np.where(share > 1 - _SNAP, 1, share))
    # An instant on a frame depends only on this frame.
    left, right = np.where(share == 1, right, left), np.where(share == 0, left, right)
    return replace(
        track,
        fps=fps,
        timestamps_s=times,
        boxes=_between(track.boxes, left, right, share),
        box_scores=np.minimum(track.box_scores[left], track.box_scores[right]),
        keypoints=_between(track.keypoints, left, right, share),
        scores=np.minimum(track.scores[left], track.scores[right]),
        interpolated=track.interpolated[left] | track.interpolated[right],
        positions=None if track.positions is None else _between(track.positions, left, right, share),
    )


def resampled_lengths(tracks: Sequence[TrackInfo], fps: float) -> list[int]:
    """The number of frames of each track at `fps` frames/s; only timestamps are read.

    Raises:
        UserError: As `resample`.
    """
    lengths = {}
    for track, timestamps_s in read_timestamps(tracks):
        times = _new_times(track.track_id, timestamps_s, math.nan if track.fps is None else track.fps, fps)
        lengths[track] = track.frames if times is None else len(times)
    return [lengths[track] for track in tracks]


def frame_times(
    track_id: str, timestamps_s: Float64[np.ndarray, " frames"], recorded_fps: float
) -> Float64[np.ndarray, " frames"]:
    """When each frame is shown, s: as recorded, or evenly spaced at the recorded rate if timestamps do not increase.

    Raises:
        UserError: The track has no frame rate: neither `fps` nor timestamps that increase.
    """
    steps = np.diff(timestamps_s)
    if len(steps) and np.isfinite(steps).all() and (steps >= 0).all() and timestamps_s[-1] > timestamps_s[0]:
        return timestamps_s
    if np.isfinite(recorded_fps) and recorded_fps > 0:
        return np.arange(len(timestamps_s)) / recorded_fps
    raise UserError(
        f"track {track_id}: its frame rate is unknown (fps is {recorded_fps}, and its timestamps do not increase); "
        "write the track again with its fps"
    )


def _new_times(
    track_id: str, timestamps_s: Float64[np.ndarray, " frames"], recorded_fps: float, fps: float
) -> Float64[np.ndarray, " new_frames"] | None:
    """When the resampled frames are shown, s; None if the track has that rate already."""
    clock = frame_times(track_id, timestamps_s, recorded_fps)
    steps = np.diff(clock) * fps
    if not len(steps) or (abs(steps.mean() - 1) <= _RATE_TOLERANCE and abs(steps - 1).max() < _STEP_TOLERANCE):
        return None
    count = (clock[-1] - clock[0]) * fps + _SNAP + 1
    if not count <= MOST_STRETCH * len(clock) + ALWAYS_ALLOWED_FRAMES:
        raise UserError(
            f"track {track_id}: its frames are {(clock[-1] - clock[0]) / (len(clock) - 1):.3g} s apart on average, too "
            f"far for {fps:g} frames/s; give more frames"
        )
    return clock[0] + np.arange(int(count)) / fps


def _between(
    values: Float[np.ndarray, " frames *shape"],
    left: Int64[np.ndarray, " new_frames"],
    right: Int64[np.ndarray, " new_frames"],
    share: Float64[np.ndarray, " new_frames"],
) -> Float[np.ndarray, " new_frames *shape"]:
    weight = share.reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
    return values[left] + weight * (values[right] - values[left])
