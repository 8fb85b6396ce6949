"""Frames at the lifter's rate, and what was predicted of them back at the track's own times."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64

from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.resample import frame_times, resample
from schemas.errors import UserError

# A hostile timestamp must not fill the memory; frames further apart than any movement lasts fit in.
MOST_STRETCH, ALWAYS_ALLOWED_FRAMES = 64, 10_000
# The last recorded frame is this near to the last resampled one, in frames: it is the same.
_SAME = 1e-3
# Two times this near are one, s.
_SHORTEST_S = 1e-9


def at_lifter_rate(track: KeypointTrack, fps: float) -> KeypointTrack:
    """The track at `fps` frames/s up to its last frame; itself if its frames come at that rate already.

    Resampled as in training. Its last frame is added where it falls between two of the resampled ones, so that
    every recorded time lies between two predictions.

    Raises:
        UserError: Times that are not finite; no frame rate; or frames so far apart that nearly all would be made up.
    """
    clock = frame_times(track.track_id, track.timestamps_s, track.fps)
    wanted = (clock[-1] - clock[0]) * fps
    if not wanted <= MOST_STRETCH * len(track) + ALWAYS_ALLOWED_FRAMES:
        raise UserError(
            f"track {track.track_id}: its frames are {(clock[-1] - clock[0]) / (len(track) - 1):.3g} s apart on "
            f"average, the lifter works at {fps:g} frames/s; give more frames"
        )
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
    wanted: Float64[np.ndarray, " frames"],
) -> Float32[np.ndarray, " frames *shape"]:
    """Values between the times at which they are known, linearly; beyond the first and the last these.

    Args:
        values: Known.
        times: When, s, ascending.
        wanted: When they are wanted, s.
    """
    if len(times) == 1:
        return np.repeat(values, len(wanted), axis=0)
    right = np.clip(np.searchsorted(times, wanted, side="right"), 1, len(times) - 1)
    left = right - 1
    share = np.clip((wanted - times[left]) / np.maximum(times[right] - times[left], _SHORTEST_S), 0, 1)
    weight = share.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    return values[left] + weight * (values[right] - values[left])
