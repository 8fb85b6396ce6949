"""One repetition of a motion that repeats, found by comparing a recording with itself some time later."""

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from pipelines.align.paths import distances
from pipelines.aligners.sequences import RATE, Sequence
from schemas.errors import UserError

# The shortest repetition that is looked for, s.
_SHORTEST_S = 0.4
# Poses are smoothed by a Gaussian of this standard deviation, in frames, because noise makes all frames differ.
_SMOOTHED = 1.0
# A period is a time after which a recording resembles itself again: the median distance is below this share of the
# median over all pairs of frames, and smaller by this share than at slightly shorter and longer times. The first such
# time within this factor of the smallest distance is the period, because its multiples fit as well. The values were
# measured: benchmarks/align.py.
_ALIKE, _PROMINENT, _NEARLY = 0.8, 0.1, 1.25


def one_repetition(person: Sequence, within_s: tuple[float, ...] = ()) -> Sequence:
    """The repetition that is most like the one after it.

    Args:
        person: The recording.
        within_s: Times that it must contain, s of the video.

    Raises:
        UserError: Nothing repeats in the recording, or not around these times.
    """
    features = gaussian_filter1d(person.features(person.moving()), _SMOOTHED, axis=0)
    costs = distances(features, features)
    period = _period(costs)
    if period is None:
        raise UserError(
            f"repetitions=true: no motion that repeats is found in {person.track_id}, which lasts "
            f"{person.stop_s - person.start_s:.1f} s; give start_s and stop_s of one repetition"
        )
    # The distance of each frame from the frame one period later, and its mean over each stretch of one period.
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
    """The number of frames after which a recording resembles itself again; None if it never does.

    Args:
        costs: Distances of its frames from each other.
    """
    shortest, longest = round(_SHORTEST_S * RATE), len(costs) // 2
    if longest <= shortest + 1:
        return None
    lags = np.arange(longest + 1)
    # The median ignores the frames in which people walk in and out.
    apart = np.array([np.median(np.diagonal(costs, lag)) for lag in lags]) / max(1e-9, float(np.median(costs)))
    minima, _ = find_peaks(-apart, prominence=_PROMINENT)
    minima = minima[(minima >= shortest) & (apart[minima] < _ALIKE)]
    if not len(minima):
        return None
    return int(minima[apart[minima] <= _NEARLY * apart[minima].min()][0])
