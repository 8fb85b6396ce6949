"""Matches people between views: tracks that meet in space are one person."""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.ndimage import uniform_filter1d
from scipy.optimize import linear_sum_assignment

from pipelines.triangulation.epipolar import distances_px
from pipelines.triangulation.views import Sampled

# Two tracks are different people if their joints miss each other's epipolar lines by more than this share of the
# height.
_SAME = 0.03
# A detection that is farther than this from a person's projected joints, as a share of the height, is somebody else.
_REACH = 0.15
# This many frames of a pair of tracks are compared; more do not change the result.
_COMPARED = 90
# Left and right count as exchanged if exchanging them multiplies the distance by less than this.
_EXCHANGED = 0.5
# Tracks that share fewer joints than this are not compared.
_FEWEST = 20

Person = dict[int, list[int]]
"""The tracks of a person: numbers by the number of their view."""


def pair_cost(first: Sampled, second: Sampled, one: int, other: int) -> float:
    """How far two tracks miss each other, as a share of their heights: median over joints; NaN if not both are seen."""
    both = (first.scores[one] > 0) & (second.scores[other] > 0)
    frames = np.flatnonzero(both.any(-1))
    if both.sum() < _FEWEST:
        return np.nan
    frames = frames[:: max(1, len(frames) // _COMPARED)]
    both = both[frames]
    misses = distances_px(first.camera, second.camera, first.rays[one, frames][both], second.rays[other, frames][both])
    return float(np.median(misses[0] / first.heights[one] + misses[1] / second.heights[other]) / 2)


def match(views: Sequence[Sampled]) -> list[Person]:
    """The people whom at least two views saw, the longest seen first."""
    tracks = [(view, track) for view, sampled in enumerate(views) for track in range(len(sampled.heights))]
    costs = np.full((len(tracks), len(tracks)), np.nan)
    for (a, (view, track)), (b, (other, second)) in itertools.combinations(enumerate(tracks), 2):
        if view != other:
            costs[a, b] = costs[b, a] = pair_cost(views[view], views[other], track, second)
    groups = [{index} for index in range(len(tracks))]
    while (pair := _closest(groups, costs, tracks, views)) is not None:
        groups[pair[0]] |= groups.pop(pair[1])
    people = [[tracks[index] for index in sorted(group)] for group in groups]
    people = [person for person in people if len({view for view, _ in person}) >= 2]
    people.sort(key=lambda person: -sum(int(views[view].present[track].sum()) for view, track in person))
    return [
        {view: [track for of, track in person if of == view] for view in {view for view, _ in person}}
        for person in people
    ]


def _closest(
    groups: list[set[int]], costs: np.ndarray, tracks: Sequence[tuple[int, int]], views: Sequence[Sampled]
) -> tuple[int, int] | None:
    """The two groups that may be one person and miss each other least; None if no two may be."""
    best, pair = _SAME, None
    for a, b in itertools.combinations(range(len(groups)), 2):
        between = costs[np.ix_(sorted(groups[a]), sorted(groups[b]))]
        if np.isnan(between).all():
            continue
        cost = float(np.nanmean(between))
        if cost < best and not _conflict(groups[a], groups[b], tracks, views):
            best, pair = cost, (a, b)
    return pair


def _conflict(first: set[int], second: set[int], tracks: Sequence[tuple[int, int]], views: Sequence[Sampled]) -> bool:
    """Whether one view saw tracks of both groups at the same time; they are then two people."""
    for a, b in itertools.product(first, second):
        (view, one), (other, two) = tracks[a], tracks[b]
        if view == other and (views[view].present[one] & views[view].present[two]).any():
            return True
    return False


def assign(
    sampled: Sampled, people: Float64[np.ndarray, "people frames joints 3"], around: int, mirror: Sequence[int]
) -> tuple[Int[np.ndarray, "people frames"], Bool[np.ndarray, "tracks frames"]]:
    """Which track of a view is each person in each frame, and where its left and right are exchanged.

    Detectors exchange them where they see somebody from behind; the other views know better.

    Args:
        sampled: The view.
        people: Positions, world; NaN where unknown.
        around: Frames over which distances are averaged, so that a choice lasts.
        mirror: The joints with left and right exchanged.

    Returns:
        The track that is nearest to each person's projected joints, -1 if none is; and whether a track is nearer to
        whom it is with left and right exchanged.
    """
    straight = _distances(sampled, people, around)
    crossed = _distances(sampled, people[:, :, list(mirror)], around)
    exchanged = crossed < _EXCHANGED * straight
    chosen = _choices(np.where(exchanged, crossed, straight))
    twisted = np.zeros(sampled.scores.shape[:2], bool)
    for person, tracks in enumerate(chosen):
        frames = np.flatnonzero(tracks >= 0)
        twisted[tracks[frames], frames] = exchanged[person, tracks[frames], frames]
    return chosen, twisted


def _distances(
    sampled: Sampled, people: Float64[np.ndarray, "people frames joints 3"], around: int
) -> Float64[np.ndarray, "people tracks frames"]:
    """How far each track is from each person's projected joints, as a share of the height; infinite if unknown."""
    tracks, frames = sampled.scores.shape[:2]
    costs = np.full((len(people), tracks, frames), np.inf)
    for person, positions in enumerate(people):
        misses = np.linalg.norm(sampled.camera.project(positions)[None] - sampled.keypoints, axis=-1)
        known = np.isfinite(misses)
        middle = np.where(known, np.minimum(misses / sampled.heights[:, None, None], 1.0), 0.0).sum(-1)
        counted = known.sum(-1)
        total = uniform_filter1d(middle, around, axis=-1, mode="constant") + 1e-12
        number = uniform_filter1d(counted.astype(np.float64), around, axis=-1, mode="constant")
        costs[person] = np.where(counted >= 4, total / np.maximum(number, 1e-9), np.inf)
    return costs


def _choices(costs: Float64[np.ndarray, "people tracks frames"]) -> Int[np.ndarray, "people frames"]:
    chosen = np.full((costs.shape[0], costs.shape[2]), -1)
    for frame in range(costs.shape[2]):
        capped = np.minimum(costs[..., frame], _REACH)
        for person, track in zip(*linear_sum_assignment(capped), strict=True):
            if costs[person, track, frame] < _REACH:
                chosen[person, frame] = track
    return chosen
