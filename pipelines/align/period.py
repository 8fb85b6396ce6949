"""One repetition of a motion that repeats, found by how alike a recording is to itself some time later."""

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from pipelines.align.paths import distances
from pipelines.aligners.sequences import RATE, Sequence
from schemas.errors import UserError

# Shortest repetition, s.
_SHORTEST_S = 0.4
# Poses are smoothed by so many frames (standard deviation), as noise makes all frames unlike each other.
_SMOOTHED = 1.0
# What repeats is this much more alike after a period than frames usually are, and by so much more than after a bit less
# or more; the first such time after which it is nearly most alike is the period, as multiples of it are no worse.
# Measured: benchmarks/align.py.
_ALIKE, _PROMINENT, _NEARLY = 0.8, 0.1, 1.25


def one_repetition(person: Sequence, within_s: tuple[float, ...] = ()) -> Sequence:
    """The repetition that is most like the one after it.

    Args:
        person: The recording.
        within_s: Times that it must contain, s of the video.

    Raises:
        UserError: Nothing repeats in it, or not around these times.
    """
    features = gaussian_filter1d(person.features(person.moving()), _SMOOTHED, axis=0)
    costs = distances(features, features)
    period = _period(costs)
    if period is None:
        raise UserError(
            f"repetitions=true: no motion that repeats is found in {person.track_id}, which lasts "
            f"{person.stop_s - person.start_s:.1f} s; give start_s and stop_s of one repetition"
        )
    # How alike each frame is to the one a period later, and its mean over each stretch of a period.
    later = np.diagonal(costs, period)
    means = np.convolve(later, np.full(period, 1 / period), "valid")
    first, last = 0, len(means) - 1
    if within_s:
        frames = [person.frame(time_s) for time_s in within_s]
        first, last = max(0, max(frames) - period), min(min(frames), len(person) - 1 - period)
    if first > last:
        raise UserError(
            f"events: do not lie within one repetition of {period / RATE:.2f} s; give start_s and stop_s of one"
        )
    starts = np.arange(first, last + 1)
    start = int(starts[means[starts.clip(0, len(means) - 1)].argmin()])
    return person.part(person.time_s(start), person.time_s(start + period))


def _period(costs: Float64[np.ndarray, "frames frames"]) -> int | None:
    """Frames after which a recording is like itself again; None if it never is.

    Args:
        costs: Distances of its frames from each other.
    """
    shortest, longest = round(_SHORTEST_S * RATE), len(costs) // 2
    if longest <= shortest + 1:
        return None
    lags = np.arange(longest + 1)
    # The median, as people walk in and out beside what they repeat.
    apart = np.array([np.median(np.diagonal(costs, lag)) for lag in lags]) / max(1e-9, float(np.median(costs)))
    minima, _ = find_peaks(-apart, prominence=_PROMINENT)
    minima = minima[(minima >= shortest) & (apart[minima] < _ALIKE)]
    if not len(minima):
        return None
    return int(minima[apart[minima] <= _NEARLY * apart[minima].min()][0])
