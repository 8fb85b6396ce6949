"""A constant-velocity Kalman filter on boxes, in seconds.

A box is (centre x, centre y, log width, log height). Noise is stated in units of the box's size, so the size
cancels from the gains, and the four coordinates are four independent filters of place and rate whose 2x2 algebra
is written out. The rate changes by white noise, hence one long prediction equals many short ones.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Standard deviation of a detected box about the true one: centre in box sizes, log width and log height.
_MEASUREMENT = np.array([0.05, 0.05, 0.1, 0.1])
# Standard deviation of the rates' change in a second: a person starts, turns or jumps within a few tenths.
_RATE_CHANGE = np.array([3.0, 3.0, 0.7, 0.7])
# Standard deviation of the rates of somebody just seen, per second: standing to running across the view.
_FIRST_RATE = np.array([2.0, 2.0, 0.3, 0.3])


@dataclass(frozen=True)
class Motion:
    """Where boxes are and how they move, with the uncertainty of both; leading axes are free.

    Attributes:
        place: Mean of (centre x, centre y, log width, log height), pixels and log pixels.
        rate: Its change per second.
        spread: Variance of the place, covariance of both, variance of the rate; in squared box sizes.
    """

    place: Float[np.ndarray, "*tracks 4"]
    rate: Float[np.ndarray, "*tracks 4"]
    spread: Float[np.ndarray, "*tracks 3 4"]


def place_of(boxes: Float[np.ndarray, "*people 4"]) -> Float[np.ndarray, "*people 4"]:
    """(x0, y0, x1, y1) to (centre x, centre y, log width, log height)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    # A person is at least a pixel wide and high; a box without extent has no logarithm.
    return np.concatenate([(low + high) / 2, np.log(np.maximum(high - low, 1))], -1, dtype=np.float64)


def boxes_of(places: Float[np.ndarray, "*people 4"]) -> Float[np.ndarray, "*people 4"]:
    """The inverse of `place_of`."""
    centre, half = places[..., :2], np.exp(places[..., 2:]) / 2
    return np.concatenate([centre - half, centre + half], -1)


def start(place: Float[np.ndarray, " 4"]) -> Motion:
    """The motion of somebody seen once: at rest, as far as is known."""
    spread = np.stack([_MEASUREMENT**2, np.zeros(4), _FIRST_RATE**2])
    return Motion(place, np.zeros(4), spread)


def predict(motion: Motion, elapsed_s: Float[np.ndarray, "*tracks 1"] | float) -> Motion:
    """The motion `elapsed_s` later, nothing having been observed."""
    place_var, covariance, rate_var = (motion.spread[..., i, :] for i in range(3))
    noise = _RATE_CHANGE**2 * elapsed_s
    spread = [
        place_var + (2 * covariance + rate_var * elapsed_s + noise * elapsed_s / 3) * elapsed_s,
        covariance + (rate_var + noise / 2) * elapsed_s,
        rate_var + noise,
    ]
    return Motion(motion.place + motion.rate * elapsed_s, motion.rate, np.stack(spread, -2))


def update(motion: Motion, place: Float[np.ndarray, "*tracks 4"]) -> Motion:
    """The motion after its box was observed at `place`."""
    place_var, covariance, rate_var = (motion.spread[..., i, :] for i in range(3))
    innovation = place - motion.place
    place_gain, rate_gain = np.stack([place_var, covariance]) / (place_var + _MEASUREMENT**2)
    spread = [place_var * (1 - place_gain), covariance * (1 - place_gain), rate_var - rate_gain * covariance]
    return Motion(
        motion.place + place_gain * innovation, motion.rate + rate_gain * innovation, np.stack(spread, -2)
    )
