"""The footsteps of a lifted track: where a foot stood still, from which the ground follows (`levelling.py`)."""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64

from pipelines.tracks.joint_scores import UNSEEN
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.tracks.stretches import stretches
from schemas.layouts import layout

# A foot stands if its ankle is slower than this, m/s; the other foot of a person who walks moves at 2 to 4 m/s.
_SLOWEST_STEP_M_PER_S = 0.5
# A position is this many times less certain along the line of sight than across it, and so is a speed.
_UNCERTAINTY_ALONG = 3.0
# Speeds are measured over this time before and after a frame, s, which reduces the noise of single frames.
_SPEED_OVER_S = 0.1
# A foot that stops for less than the first time, s, is turning in the air; one that stands counts again after the
# second.
_SHORTEST_S, _LONGEST_S = 0.12, 1.0
# The higher foot stands too if it is at most this much higher, m.
_SAME_HEIGHT_M = 0.08


def footsteps(
    track: LiftedTrack, up: Float64[np.ndarray, "3"]
) -> tuple[Float64[np.ndarray, "steps 3"], Float64[np.ndarray, " steps"]]:
    """Where the ankles of a track stood still (camera space, m), and for how long each time (s).

    Args:
        track: A track with a trajectory; without one nothing is known of its footsteps.
        up: Which way is up in camera space, roughly.
    """
    places, durations = [np.empty((0, 3))], [np.empty(0)]
    times = track.timestamps_s
    if track.trajectory is None or len(track) < 3:
        return places[0], durations[0]
    joints = [layout(track.layout).index(f"{side}_ankle") for side in ("left", "right")]
    ankles = (track.positions[:, joints] + track.trajectory[:, None]).astype(np.float64)
    heights = ankles @ up
    for foot, joint in enumerate(joints):
        standing = _speed(ankles[:, foot], times) < _SLOWEST_STEP_M_PER_S
        standing &= heights[:, foot] < heights[:, 1 - foot] + _SAME_HEIGHT_M
        standing &= ~track.interpolated
        if track.joint_scores is not None:
            standing &= track.joint_scores[:, joint] >= UNSEEN
        for start, stop in _runs(standing, times):
            places.append(ankles[start:stop, foot].mean(axis=0, keepdims=True))
            durations.append(times[stop - 1 : stop] - times[start])
    return np.concatenate(places), np.concatenate(durations)


def _speed(points: Float64[np.ndarray, "frames 3"], times: Float64[np.ndarray, " frames"]) -> np.ndarray:
    """Speed of a point, m/s; movement along the line of sight counts less."""
    first = np.searchsorted(times, times - _SPEED_OVER_S - 1e-6)
    last = np.searchsorted(times, times + _SPEED_OVER_S + 1e-6) - 1
    last = np.maximum(last, np.minimum(first + 1, len(times) - 1))
    first = np.minimum(first, last - 1)
    velocity = (points[last] - points[first]) / np.maximum(times[last] - times[first], 1e-3)[:, None]
    sight = points / np.linalg.norm(points, axis=1, keepdims=True).clip(1e-6)
    along = (velocity * sight).sum(axis=1, keepdims=True)
    return np.hypot(np.linalg.norm(velocity - along * sight, axis=1), along[:, 0] / _UNCERTAINTY_ALONG)


def _runs(standing: Bool[np.ndarray, " frames"], times: Float64[np.ndarray, " frames"]) -> list[tuple[int, int]]:
    """(first frame, frame after the last) of each stand of a foot, cut into pieces of at most a second."""
    runs = []
    for start, stop in stretches(standing):
        starts = np.arange(times[start], times[stop - 1] + 1e-6, _LONGEST_S)
        runs += pairwise([*np.searchsorted(times, starts - 1e-6).tolist(), stop])
    return [(first, last) for first, last in runs if times[last - 1] - times[first] >= _SHORTEST_S]
