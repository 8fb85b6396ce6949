"""Resamples tracks to the lifter's frame rate, and predictions back to the times of the track."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64

from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.resample import frame_times, resample

# The last recorded and the last resampled frame are the same if they are closer than this, in frames.
_SAME = 1e-3
# Two times are the same if they are closer than this, s.
_SHORTEST_S = 1e-9


def at_lifter_rate(track: KeypointTrack, fps: float) -> KeypointTrack:
    """The track at `fps` frames/s up to its last frame; the same object if it has that rate already.

    Resampled as in training. Its last frame is added where it falls between two of the resampled ones, so that
    every recorded time lies between two predictions.

    Raises:
        UserError: As `resample`.
    """
    clock = frame_times(track.track_id, track.timestamps_s, track.fps)
    resampled = resample(track, fps)
    if resampled is track or clock[-1] - resampled.timestamps_s[-1] < _SAME / fps:
        return resampled
    return replace(
        resampled,
        timestamps_s=np.append(resampled.timestamps_s, clock[-1]),
        positions=None,
        positions_layout=None,
        **{
            name: np.concatenate([getattr(resampled, name), getattr(track, name)[-1:]])
            for name in ("boxes", "box_scores", "keypoints", "scores", "interpolated")
        },
    )


def at_times(
    values: Float32[np.ndarray, " predicted *shape"],
    times: Float64[np.ndarray, " predicted"],
    at: Float64[np.ndarray, " frames"],
) -> Float32[np.ndarray, " frames *shape"]:
    """Interpolate values linearly in time; before the first and after the last time they are constant.

    Args:
        values: The values that are known.
        times: Their times in seconds, ascending.
        at: Times of the result in seconds.
    """
    if len(times) == 1:
        return np.repeat(values, len(at), axis=0)
    right = np.clip(np.searchsorted(times, at, side="right"), 1, len(times) - 1)
    left = right - 1
    share = np.clip((at - times[left]) / np.maximum(times[right] - times[left], _SHORTEST_S), 0, 1)
    weight = share.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    return values[left] + weight * (values[right] - values[left])
