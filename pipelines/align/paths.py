"""Which frame of a recording shows what a frame of the reference shows: nearest frames, and paths that go forward."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.distance import cdist

# Two repetitions may overlap by this share of the shorter one.
_SHARED = 0.25


@dataclass(frozen=True)
class Match:
    """A stretch of a recording that shows what the reference shows.

    Attributes:
        frames: For each frame of the reference the frame of the recording, which may lie between two.
        distance: Mean distance along it, trunk sizes.
    """

    frames: Float64[np.ndarray, " reference"]
    distance: float


def distances(
    reference: Float32[np.ndarray, "reference features"], other: Float32[np.ndarray, "frames features"]
) -> Float64[np.ndarray, "reference frames"]:
    """How far each frame of the reference is from each of a recording."""
    return cdist(reference, other)


def nearest(costs: Float64[np.ndarray, "reference frames"]) -> Match:
    """Match each frame with the most similar one, in any order."""
    frames = costs.argmin(axis=1)
    return Match(frames.astype(np.float64), float(costs.min(axis=1).mean()))


def monotone(costs: Float64[np.ndarray, "reference frames"], most: int = 1, farthest: float = np.inf) -> list[Match]:
    """The best paths that only go forward, at 0.5 to 2 times the speed of the reference; they do not overlap.

    By dynamic programming. A step goes on by one frame in both, or by two in one of them. A path may begin and end
    anywhere in the recording. There is none if the recording is shorter than half of the reference.

    Args:
        costs: Distances of frames.
        most: How many paths at most.
        farthest: The largest mean distance of a path.
    """
    totals, starts, steps = _forward(costs)
    means = totals[-1] / len(costs)
    paths: list[tuple[int, int, Match]] = []
    for end in np.argsort(means, kind="stable").tolist():
        if not means[end] <= farthest or not np.isfinite(means[end]) or len(paths) == most:
            break
        start = int(starts[-1, end])
        if all(_overlap(start, end, a, b) <= _SHARED for a, b, _ in paths):
            paths.append((start, end, Match(_path(steps, end), float(means[end]))))
    return [match for _, _, match in sorted(paths, key=lambda entry: entry[0])]


def _overlap(start: int, end: int, other_start: int, other_end: int) -> float:
    shared = min(end, other_end) - max(start, other_start)
    return shared / max(1, min(end - start, other_end - other_start))


def _forward(costs: Float64[np.ndarray, "reference frames"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The summed cost, first frame and last step of the best path to each pair of frames."""
    count, frames = costs.shape
    totals = np.full((count, frames), np.inf)
    starts = np.zeros((count, frames), np.int64)
    steps = np.zeros((count, frames), np.int8)
    totals[0], starts[0] = costs[0], np.arange(frames)
    for row in range(1, count):
        options = np.full((3, frames), np.inf)
        options[0, 1:] = totals[row - 1, :-1] + costs[row, 1:]
        options[1, 2:] = totals[row - 1, :-2] + (costs[row, 1:-1] + costs[row, 2:]) / 2
        if row > 1:
            options[2, 1:] = totals[row - 2, :-1] + costs[row - 1, 1:] + costs[row, 1:]
        steps[row] = options.argmin(axis=0)
        totals[row] = options.min(axis=0)
        for step, (rows, columns) in enumerate(_STEPS):
            taken = np.flatnonzero((steps[row] == step) & np.isfinite(totals[row]))
            starts[row, taken] = starts[row - rows, taken - columns]
    return totals, starts, steps


# The (reference, recording) frames that each kind of step advances by.
_STEPS = ((1, 1), (1, 2), (2, 1))


def _path(steps: np.ndarray, end: int) -> Float64[np.ndarray, " reference"]:
    row, column = len(steps) - 1, end
    rows, columns = [row], [column]
    while row > 0:
        down, left = _STEPS[steps[row, column]]
        row, column = row - down, column - left
        rows.append(row)
        columns.append(column)
    return np.interp(np.arange(len(steps)), rows[::-1], columns[::-1])
