"""Copies of a clip among tracks: encoded again, cropped, mirrored, cut shorter or played at another speed.

Some poses of each track are looked for among all poses. Where several of them are found in one other track, a line from
the times of the one to the times of the other is put through them, and the poses are compared all along it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from pipelines.curation.nearest import PoseIndex
from pipelines.curation.pose_rows import COORDINATES, PoseRows
from pipelines.tracks.normalised import LIMBS, mirrored
from schemas.configs.curate import DuplicatesConfig

# This many poses of each track are looked for, and this many nearest poses are taken for each.
_QUERIES, _NEIGHBOURS = 10, 8
# Two tracks are compared if at least this many votes link them; each track is compared with at most this many others.
_VOTES, _COMPARED = 3, 8
# Only every n-th pose is searched, because a copied pose is near one of those too.
_EVERY = 2
# A track is cropped if fewer than this share of its poses are complete.
_CROPPED = 0.5
_LEGS = [LIMBS.index(f"{side}_{joint}") for joint in ("knee", "ankle") for side in ("left", "right")]
_UPPER = [column for column in range(COORDINATES) if column // 2 not in _LEGS]
_VOTE = np.dtype(
    [
        *(("later", np.int64), ("earlier", np.int64), ("is_mirrored", bool)),
        *(("time_later", np.float32), ("time_earlier", np.float32)),
    ]
)
# The speed of a copy, as a multiple of the original's, lies within these limits.
_SLOWEST, _FASTEST = 0.4, 2.5
# Two tracks are compared by at most this many poses: first few along all lines, then more around the best line if its
# distance is below this multiple of the largest distance of a copy.
_FEW_POSES, _MOST_POSES, _WORTH_IMPROVING = 16, 60, 2.5
_MOST_LINES = 100
# The best line is improved in these steps: its speed by factors, its start by seconds.
_SPEED_STEPS = np.exp(np.linspace(-0.06, 0.06, 7))
_START_STEPS_S = np.linspace(-0.2, 0.2, 9)


@dataclass(frozen=True)
class Copy:
    """A track that another one contains.

    Attributes:
        of: Number of the other track.
        distance: Root mean square distance of their poses, as a share of how much the pose varies.
        speed: Seconds of the other track for each second of this one.
        is_mirrored: Whether it is its mirror image.
    """

    of: int
    distance: float
    speed: float
    is_mirrored: bool


def find_copies(rows: PoseRows, order: Sequence[int], rules: DuplicatesConfig) -> dict[int, Copy]:
    """The tracks that are copies of others which are kept, each with its original.

    Args:
        rows: Poses of the tracks.
        order: All tracks; of two copies the one that is first here is kept.
        rules: What counts as a copy.
    """
    rank = np.empty(len(rows), np.int64)
    rank[list(order)] = np.arange(len(rows))
    copies: dict[int, Copy] = {}
    for later, candidates in _candidates(rows, rank):
        for earlier, is_mirrored, times in candidates:
            copy = None if earlier in copies else _compare(rows, later, earlier, is_mirrored, times, rules)
            if copy:
                copies[later] = copy
                break
    return copies


def _candidates(rows: PoseRows, rank: np.ndarray) -> Iterator[tuple[int, list[tuple[int, bool, np.ndarray]]]]:
    """Each track by rank, with tracks of lower rank that may contain it: (track, mirrored, times of found poses)."""
    votes = _votes(rows, rank)
    if not len(votes):
        return
    key = (rank[votes["later"]] * len(rows) + votes["earlier"]) * 2 + votes["is_mirrored"]
    votes = votes[np.argsort(key, kind="stable")]
    bounds = np.flatnonzero(np.diff(np.sort(key), prepend=-1))
    sizes = np.diff(np.append(bounds, len(votes)))
    waiting: list[tuple[int, int, int]] = []
    for start, size in [*zip(bounds.tolist(), sizes.tolist(), strict=True), (-1, 0)]:
        later = int(votes["later"][start]) if start >= 0 else -1
        if waiting and waiting[0][0] != later:
            best = sorted(waiting, key=lambda entry: -entry[2])[:_COMPARED]
            yield waiting[0][0], [_candidate(votes[first : first + count]) for _, first, count in best]
            waiting = []
        if size >= _VOTES:
            waiting.append((later, start, size))


def _candidate(votes: np.ndarray) -> tuple[int, bool, np.ndarray]:
    times = np.stack([votes["time_later"], votes["time_earlier"]], axis=1)
    return int(votes["earlier"][0]), bool(votes["is_mirrored"][0]), times


def _votes(rows: PoseRows, rank: np.ndarray) -> np.ndarray:
    """Pairs of poses of two tracks that are near each other, with their times in both, s."""
    whole = _matches(rows, rank, slice(None), np.ones(len(rows), bool))
    # Crops most often cut off the legs; tracks without legs are looked for by the rest of the body.
    lengths = np.maximum(1, np.diff(rows.starts))
    complete = np.bincount(rows.owners()[rows.complete()], minlength=len(rows))
    upper = np.bincount(rows.owners()[rows.complete(_UPPER)], minlength=len(rows))
    cropped = (complete < _CROPPED * lengths) & (upper >= _CROPPED * lengths)
    return np.concatenate([whole, _matches(rows, rank, _UPPER, cropped)])


def _matches(rows: PoseRows, rank: np.ndarray, coordinates: Sequence[int] | slice, asking: np.ndarray) -> np.ndarray:
    """The votes that some of the tracks get when only some coordinates are compared."""
    complete = rows.complete(coordinates)[::_EVERY]
    if not len(complete) or not asking.any():
        return np.empty(0, _VOTE)
    owners = rows.owners()[complete]
    times = ((complete - rows.starts[owners]) * rows.steps_s[owners]).astype(np.float32)
    index = PoseIndex(rows.poses[complete][:, coordinates].astype(np.float32))
    firsts = np.searchsorted(owners, np.arange(len(rows) + 1))
    queried = np.concatenate(
        [
            np.unique(np.linspace(first, stop - 1, min(_QUERIES, stop - first)).astype(np.int64))
            for first, stop, asks in zip(firsts[:-1], firsts[1:], asking, strict=True)
            if stop > first and asks
        ]
        or [np.empty(0, np.int64)]
    )
    poses = rows.poses[complete[queried]].astype(np.float32)
    parts = []
    for is_mirrored, queries in ((False, poses), (True, _mirrored(poses))):
        neighbours = index.nearest(np.ascontiguousarray(queries[:, coordinates]), _NEIGHBOURS)
        query_rows, neighbour_rows = np.repeat(queried, _NEIGHBOURS), neighbours.ravel()
        is_other_track = (neighbour_rows >= 0) & (owners[query_rows] != owners[neighbour_rows])
        query_rows, neighbour_rows = query_rows[is_other_track], neighbour_rows[is_other_track]
        is_later = rank[owners[query_rows]] > rank[owners[neighbour_rows]]
        later, earlier = np.where(is_later, query_rows, neighbour_rows), np.where(is_later, neighbour_rows, query_rows)
        part = np.empty(len(query_rows), _VOTE)
        part["later"], part["earlier"], part["is_mirrored"] = owners[later], owners[earlier], is_mirrored
        part["time_later"], part["time_earlier"] = times[later], times[earlier]
        parts.append(part)
    return np.concatenate(parts)


def _mirrored(poses: Float32[np.ndarray, "poses coordinates"]) -> Float32[np.ndarray, "poses coordinates"]:
    return mirrored(poses.reshape(-1, len(LIMBS), 2)).reshape(-1, COORDINATES)


def _compare(
    rows: PoseRows, later: int, earlier: int, is_mirrored: bool, times: np.ndarray, rules: DuplicatesConfig
) -> Copy | None:
    """Describe how a track copies another one; None if it does not."""
    poses, other = rows.of_track(later), rows.of_track(earlier)
    other = _mirrored(other) if is_mirrored else other
    at, step_s = np.arange(len(poses)) * rows.steps_s[later], float(rows.steps_s[earlier])
    lines = _lines(times)
    few = _spread(len(poses), _FEW_POSES)
    distances = _distances(poses[few], at[few], other, step_s, lines, rules.min_overlap)
    if not len(lines) or distances.min() > _WORTH_IMPROVING * rules.max_distance:
        return None
    speed, start = lines[int(distances.argmin())]
    # The start changes together with the speed, so that the middle of the track keeps its place.
    steps = [(factor, shift) for factor in _SPEED_STEPS for shift in _START_STEPS_S]
    finer = np.array([(speed * factor, start + speed * at.mean() * (1 - factor) + shift) for factor, shift in steps])
    most = _spread(len(poses), _MOST_POSES)
    distances = _distances(poses[most], at[most], other, step_s, finer, rules.min_overlap)
    best = int(distances.argmin())
    if distances[best] > rules.max_distance:
        return None
    return Copy(earlier, float(distances[best]), float(finer[best, 0]), is_mirrored)


def _spread(count: int, most: int) -> Int64[np.ndarray, " picked"]:
    """Numbers from 0 to `count`, evenly spread, `most` of them at most."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))


def _lines(times: np.ndarray) -> Float64[np.ndarray, "lines 2"]:
    """(speed, start) of the lines through each two found poses, which map times of one track to times of the other."""
    first, second = np.triu_indices(len(times), 1)
    run = times[second, 0].astype(np.float64) - times[first, 0]
    rise = times[second, 1].astype(np.float64) - times[first, 1]
    speeds = np.divide(rise, run, out=np.zeros_like(run), where=np.abs(run) > 1e-6)
    possible = (speeds >= _SLOWEST) & (speeds <= _FASTEST)
    starts = times[first, 1] - speeds * times[first, 0]
    lines = np.unique(np.stack([speeds, starts], axis=1)[possible].round(2), axis=0)
    return lines[_spread(len(lines), _MOST_LINES)]


def _distances(
    poses: Float32[np.ndarray, "poses coordinates"],
    at: Float64[np.ndarray, " poses"],
    other: Float32[np.ndarray, "others coordinates"],
    step_s: float,
    lines: Float64[np.ndarray, "lines 2"],
    min_overlap: float,
) -> Float64[np.ndarray, " lines"]:
    """How far poses are from another track's along each line, as a share of how much they vary."""
    places = (lines[:, :1] * at + lines[:, 1:]) / step_s
    # Half a row beyond the ends still counts as inside, because the rows of copies lie between each other's.
    inside = (places >= -0.5) & (places <= len(other) - 0.5)
    places = places.clip(0, len(other) - 1)
    before = np.floor(places).astype(np.int64)
    share = (places - before)[..., None].astype(np.float32)
    after = np.minimum(before + 1, len(other) - 1)
    squares = (other[before] * (1 - share) + other[after] * share - poses) ** 2
    known = np.isfinite(squares) & inside[..., None]
    means = np.where(known, squares, 0).sum((1, 2)) / known.sum((1, 2)).clip(1)
    variance = _variance(poses)
    # Enough joints must be seen in both tracks; the factor allows for crops, which remove about half of them.
    enough = (inside.mean(1) >= min_overlap) & (known.mean((1, 2)) >= 0.4 * min_overlap)
    return np.where(enough & (variance > 0), np.sqrt(means / max(variance, 1e-12)), np.inf)


def _variance(poses: Float32[np.ndarray, "poses coordinates"]) -> float:
    """The mean variance of the coordinates over time, of those that are known."""
    known = np.isfinite(poses)
    counts = known.sum(0).clip(1)
    means = np.where(known, poses, 0).sum(0) / counts
    return float(np.where(known, (poses - means) ** 2, 0).sum() / max(1, known.sum()))
