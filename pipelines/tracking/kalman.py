"""A constant-velocity Kalman filter on boxes, in seconds.

A box is filtered as four independent coordinates: centre x, centre y, log width, log height. Noise is given in box
sizes, so that the size cancels out of the gains. The rate changes by white noise, so one long prediction equals many
short ones. The state is a few numbers per person, for which plain floats are faster than arrays.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Noise(NamedTuple):
    """Standard deviations, in box sizes; those of log sizes have no unit."""

    measurement: float
    """Of a detected coordinate around the true one."""
    rate_change: float
    """Of the change of the rate in one second."""
    first_rate: float
    """Of the rate of a person observed for the first time, per second."""


# Chosen on projected motion capture of people who cross; half or twice the rate change costs at most 2 % IDF1.
_CENTRE = Noise(measurement=0.05, rate_change=1.5, first_rate=1.0)
# Swinging limbs change the width and height of a box although the person is not nearer: a noise without a lasting rate.
_SIZE = Noise(measurement=0.1, rate_change=0.7, first_rate=0.3)
_NOISES = (_CENTRE, _CENTRE, _SIZE, _SIZE)


class Coordinate(NamedTuple):
    """One coordinate and its rate: their means, pixels or log pixels, and their covariance, squared box sizes."""

    place: float
    rate: float
    place_variance: float
    covariance: float
    rate_variance: float


Motion = tuple[Coordinate, ...]
"""A box's four coordinates, as of its last observation."""


def place_of(box: Sequence[float]) -> list[float]:
    """(x0, y0, x1, y1) to (centre x, centre y, log width, log height)."""
    x0, y0, x1, y1 = box
    # A box without extent has no logarithm; a person is at least a pixel wide and high.
    return [(x0 + x1) / 2, (y0 + y1) / 2, math.log(max(x1 - x0, 1)), math.log(max(y1 - y0, 1))]


def boxes_of(places: Float[np.ndarray, "people 4"]) -> Float[np.ndarray, "people 4"]:
    """The inverse of `place_of`, for many."""
    centre, half = places[:, :2], np.exp(places[:, 2:]) / 2
    return np.concatenate([centre - half, centre + half], 1)


def start(place: Sequence[float]) -> Motion:
    """The motion after a single observation: rate 0, with the uncertainty `first_rate`."""
    return tuple(
        Coordinate(value, 0.0, noise.measurement**2, 0.0, noise.first_rate**2)
        for value, noise in zip(place, _NOISES, strict=True)
    )


def predict(motion: Motion, elapsed_s: float) -> list[float]:
    """The expected coordinates `elapsed_s` after the last observation."""
    return [coordinate.place + coordinate.rate * elapsed_s for coordinate in motion]


def variances(motion: Motion, elapsed_s: float) -> list[float]:
    """Expected squared distance of an observation from `predict`: squared box sizes, and squared log sizes."""
    return [
        _place_variance(coordinate, elapsed_s, noise) + noise.measurement**2
        for coordinate, noise in zip(motion, _NOISES, strict=True)
    ]


def observe(motion: Motion, last: Sequence[float], place: Sequence[float], moments_s: Sequence[float]) -> Motion:
    """The motion after the box, last observed at `last`, is observed at `place`.

    Frames without an observation in between count as observed on the straight line from `last` to `place`. The rate
    then follows from the distance covered in the gap, not from what was predicted before it (OC-SORT).

    Args:
        motion: As of the last observation.
        last: Coordinates of the last observation.
        place: Coordinates of the new observation.
        moments_s: Timestamps of the last observation, of the frames without one in between, and of the new one.
    """
    then_s, now_s = moments_s[0], moments_s[-1]
    for previous_s, moment_s in itertools.pairwise(moments_s):
        # Equal timestamps span no line, so all of them count as observed at `place`.
        share = 1 - (now_s - moment_s) / ((now_s - then_s) or 1)
        motion = tuple(
            _step(coordinate, before + share * (now - before), moment_s - previous_s, noise)
            for coordinate, before, now, noise in zip(motion, last, place, _NOISES, strict=True)
        )
    return motion


def _step(last: Coordinate, observed: float, elapsed_s: float, noise: Noise) -> Coordinate:
    # The prediction: the covariance of a rate that follows a random walk (continuous white-noise acceleration).
    walk = noise.rate_change**2 * elapsed_s
    rate_variance = last.rate_variance + walk
    covariance = last.covariance + (last.rate_variance + walk / 2) * elapsed_s
    place_variance = _place_variance(last, elapsed_s, noise)
    place = last.place + last.rate * elapsed_s
    # The update with the observation.
    total = place_variance + noise.measurement**2
    place_gain, rate_gain = place_variance / total, covariance / total
    return Coordinate(
        place + place_gain * (observed - place),
        last.rate + rate_gain * (observed - place),
        place_variance * (1 - place_gain),
        covariance * (1 - place_gain),
        rate_variance - rate_gain * covariance,
    )


def _place_variance(last: Coordinate, elapsed_s: float, noise: Noise) -> float:
    walk = noise.rate_change**2 * elapsed_s
    return last.place_variance + (2 * last.covariance + (last.rate_variance + walk / 3) * elapsed_s) * elapsed_s
