"""From raw finds to the people of each frame: the good boxes, each person once, and the frames not looked at."""

import itertools

import numpy as np
from jaxtyping import Float, Float32
from scipy.optimize import linear_sum_assignment

from pipelines.detectors.persons.base import Boxes, PersonsConfig

# Two boxes are the same person some frames later if they share this much.
_SAME_PERSON = 0.2


def select(
    corners: Float[np.ndarray, "slots 4"],
    scores: Float[np.ndarray, " slots"],
    frame_wh: tuple[int, int],
    config: PersonsConfig,
) -> Boxes:
    """The people among the finds of one frame, best score first.

    Boxes are cut at the frame's edges; one of less than a pixel inside, or with NaN, is nobody.
    """
    corners = np.clip(corners, 0, np.tile(np.array(frame_wh, np.float32), 2)).astype(np.float32)
    with np.errstate(invalid="ignore"):
        real = ((corners[:, 2:] - corners[:, :2]) >= 1).all(-1) & (scores >= config.min_score)
    candidates = np.flatnonzero(real)
    candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
    overlaps = iou(corners[candidates], corners[candidates])
    kept: list[int] = []
    for i in range(len(candidates)):
        if len(kept) < config.max_people and all(overlaps[i, better] <= config.max_overlap for better in kept):
            kept.append(i)
    people = candidates[kept]
    return Boxes(corners[people], scores[people].astype(np.float32))


def looked_at(frames: int, every: int) -> list[int]:
    """The frames of a clip to look for people in: every so-manieth, and the last."""
    return sorted({*range(0, frames, every), frames - 1}) if frames else []


def fill_in(found: dict[int, Boxes], frames: int) -> list[Boxes]:
    """The people of every frame from those of `looked_at` frames.

    Boxes that overlap from one of these frames to the next, matched so that they overlap most in all, are one person,
    who moved evenly; somebody found in only one of the two is where they were found in the frames nearer to it.
    """
    known = sorted(found)
    people = [found.get(frame) for frame in range(frames)]
    for begin, end in itertools.pairwise(known):
        first, last = found[begin], found[end]
        pairs = _pairs(first, last)
        for frame in range(begin + 1, end):
            people[frame] = _between(first, last, pairs, (frame - begin) / (end - begin))
    return [boxes for boxes in people if boxes is not None]


def iou(
    corners: Float[np.ndarray, "people 4"], others: Float[np.ndarray, "others 4"]
) -> Float[np.ndarray, "people others"]:
    """Intersection over union of every box with every other; boxes have an area."""
    low = np.maximum(corners[:, None, :2], others[:, :2])
    high = np.minimum(corners[:, None, 2:], others[:, 2:])
    common = np.maximum(high - low, 0).prod(-1)
    areas, other_areas = (np.prod(each[:, 2:] - each[:, :2], -1) for each in (corners, others))
    return common / (areas[:, None] + other_areas - common)


def _pairs(first: Boxes, last: Boxes) -> list[tuple[int, int]]:
    overlaps = iou(first.corners, last.corners)
    overlaps = np.where(overlaps >= _SAME_PERSON, overlaps, 0)
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if overlaps[i, j] > 0]


def _between(first: Boxes, last: Boxes, pairs: list[tuple[int, int]], share: float) -> Boxes:
    """The people at `share` of the way from one frame to the other."""
    moved, scores = [], []
    for i, j in pairs:
        moved.append(_mixed(first.corners[i], last.corners[j], share))
        scores.append(_mixed(first.scores[i], last.scores[j], share))
    nearer, matched = (first, {i for i, _ in pairs}) if share <= 0.5 else (last, {j for _, j in pairs})
    for i in range(len(nearer)):
        if i not in matched:
            moved.append(nearer.corners[i])
            scores.append(nearer.scores[i])
    return Boxes(np.array(moved, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def _mixed(
    first: Float32[np.ndarray, "*shape"] | np.float32, last: Float32[np.ndarray, "*shape"] | np.float32, share: float
) -> np.ndarray | np.float32:
    return first * np.float32(1 - share) + last * np.float32(share)
