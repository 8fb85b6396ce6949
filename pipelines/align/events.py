"""Events of the reference on a recording that is in step with it, and how far the recording deviates from it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Float64

from pipelines.align.paths import Match
from pipelines.aligners.sequences import RATE

# A frame that is this far from the event's frame, in trunk sizes, has a weight of exp(-1/2) as the place of the event.
_LIKE = 0.1
# The confidence in an event counts the weights of frames at most this far from where the path puts it, s.
_CLOSE_S = 0.15
# The reference is divided into this many equal parts if it has no events.
_PARTS = 5


def transferred(match: Match, costs: Float64[np.ndarray, "reference frames"], at: int) -> tuple[float, float]:
    """The frame of a recording at which an event happens, and the confidence in it, 0 to 1.

    The confidence is the share of the frames of the match that look like the event, weighted by how much they do, which
    are within 0.15 s of where the path puts it.

    Args:
        match: The part of the recording that is in step.
        costs: Distances of all frames.
        at: The frame of the reference at which it happens.
    """
    frame = float(match.frames[at])
    first, last = int(match.frames.min()), int(np.ceil(match.frames.max()))
    cost = costs[at, first : last + 1]
    weights = np.exp(-((cost - cost.min()) ** 2 + 2 * cost.min() * (cost - cost.min())) / (2 * _LIKE**2))
    near = np.abs(np.arange(first, last + 1) - frame) <= _CLOSE_S * RATE
    return frame, float(weights[near].sum() / weights.sum())


def phases(events: Mapping[str, int], frames: int) -> list[tuple[str, int, int]]:
    """(name, first frame, frame after the last) of the parts of the reference: between its events, or of equal length.

    Args:
        events: The frames of its events by their names.
        frames: Its length.
    """
    if not events:
        bounds = np.linspace(0, frames, _PARTS + 1).round().astype(int).tolist()
        return [(f"{100 * n // _PARTS}-{100 * (n + 1) // _PARTS} %", *pair) for n, pair in enumerate(pairwise(bounds))]
    ordered = sorted(events.items(), key=lambda event: event[1])
    names = ["start", *(name for name, _ in ordered), "end"]
    bounds = [0, *(frame for _, frame in ordered), frames]
    parts = zip(pairwise(names), pairwise(bounds), strict=True)
    return [(f"{a} to {b}", first, stop) for (a, b), (first, stop) in parts if stop > first]


def deviations(
    reference: Float32[np.ndarray, "reference joints dims"],
    other: Float32[np.ndarray, "frames joints dims"],
    match: Match,
    parts: Sequence[tuple[str, int, int]],
) -> Float64[np.ndarray, "parts joints"]:
    """Mean distance of each joint from its place in the reference, in each part of the reference, trunk sizes."""
    shown = other[match.frames.round().astype(int).clip(0, len(other) - 1)]
    apart = np.linalg.norm(shown - reference, axis=-1)
    return np.stack([apart[first:stop].mean(axis=0) for _, first, stop in parts]).astype(np.float64)
