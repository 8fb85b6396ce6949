"""The moments of many recordings that are most similar to one moment: an exact search, one recording after another."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from pipelines.align.features import Compared

# A moment is compared together with this many frames before and after it.
_AROUND = 6
# Two moments that are found in one recording are at least this many frames apart.
_APART = 8


@dataclass(frozen=True, order=True)
class Moment:
    """A moment of a recording.

    Attributes:
        distance: From the one that is looked for, trunk sizes.
        track_id: Of the recording.
        time_s: Seconds of its video.
    """

    distance: float
    track_id: str
    time_s: float


def similar_moments(reference: Compared, frame: int, others: Iterable[Compared], count: int) -> list[Moment]:
    """The most similar moments, the best first; those around the moment itself are left out.

    Args:
        reference: Where the moment is.
        frame: Its frame there.
        others: Recordings; the reference may be among them.
        count: How many.
    """
    asked = _windows(reference.vectors)[frame]
    best: list[tuple[float, str, float]] = []
    for other in others:
        apart = np.sqrt(((_windows(other.vectors) - asked) ** 2).sum((1, 2)) / (2 * _AROUND + 1))
        if other.track_id == reference.track_id:
            apart[max(0, frame - _APART) : frame + _APART + 1] = np.inf
        for place in _lowest(apart, count):
            heapq.heappush(best, (-float(apart[place]), other.track_id, other.time_s(place)))
            if len(best) > count:
                heapq.heappop(best)
    return sorted(Moment(-distance, track_id, time_s) for distance, track_id, time_s in best)


def _windows(features: Float32[np.ndarray, "frames features"]) -> Float32[np.ndarray, "frames window features"]:
    """The frames around each frame; the first and last ones are repeated beyond the ends."""
    frames = np.arange(len(features))[:, None] + np.arange(-_AROUND, _AROUND + 1)
    return features[frames.clip(0, len(features) - 1)]


def _lowest(distances: Float64[np.ndarray, " frames"], count: int) -> list[int]:
    """The frames with the smallest distances that are not close to each other."""
    remaining, frames = distances.copy(), []
    while len(frames) < count and np.isfinite(remaining.min(initial=np.inf)):
        frame = int(remaining.argmin())
        frames.append(frame)
        remaining[max(0, frame - _APART) : frame + _APART + 1] = np.inf
    return frames
