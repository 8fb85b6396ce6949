"""Boxes of people in the frames between those that the person finder sees: tracked, and interpolated.

The parts are those of `pipelines/tracking`. There are no keypoints yet to tell people apart by, and people may move by
more than their width between two searched frames, so boxes are matched by overlap and by likelihood.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from pipelines.detectors.persons.base import Boxes
from pipelines.tracking import kalman
from pipelines.tracking.association import iou, likelihood, match

# A match needs at least this mean of overlap and likelihood; without overlap it allows 2.4 standard deviations. It was
# chosen on synthetic people and motion capture (benchmarks/person_boxes.py); 0.02 to 0.05 score the same to within
# 0.01.
_FITS = 0.03
# A track ends if more than this many consecutive searched frames miss the person; detectors seldom miss two in a row.
_MOST_MISSED = 1
# Motion is predicted for at most this time, s: it is not constant for longer, and timestamps may jump by hours.
_STEADY_S = 1.0

Find = list[float]
"""x0, y0, x1, y1 (px) and score of a detected box."""


@dataclass
class _Route:
    """A person tracked through the searched frames (looks).

    Attributes:
        motion: As of the last detected box.
        looks: Numbers of the looks that detected the person.
        finds: The box of each of these looks.
    """

    motion: kalman.Motion
    looks: list[int]
    finds: list[Find]


def looked_at(frames: int, every: int) -> list[int]:
    """Indices of the frames of a clip in which people are detected: every n-th and the last."""
    return sorted({*range(0, frames, every), frames - 1}) if frames else []


def fill_in(
    detections: Mapping[int, Boxes],
    timestamps_s: Float64[np.ndarray, " frames"],
    frame_wh: tuple[int, int],
    most: int,
) -> list[Boxes]:
    """The people of every frame, from those of the searched frames (`looked_at`).

    Boxes are interpolated linearly between two detections, also across one look that missed the person. Before the
    first and after the last detection they are extrapolated in the frames that are nearer to it than to the next look,
    clipped to the frame. The result does not depend on the order of the people within a frame.

    Args:
        detections: The people of the searched frames, which are returned unchanged.
        timestamps_s: When each frame is shown, s, ascending; may repeat.
        frame_wh: Width and height of the frames, pixels.
        most: Largest number of people in a frame; propagated boxes of the lowest scores are dropped.
    """
    looks = np.array(sorted(detections), np.int64)
    if len(looks) == len(timestamps_s):
        return [detections[frame] for frame in looks.tolist()]
    routes = _follow([detections[frame] for frame in looks.tolist()], timestamps_s[looks].tolist())
    ways = [_way(route, looks, timestamps_s) for route in routes]
    rows = np.concatenate([np.zeros((0, 6)), *ways])
    rows[:, 1:5] = rows[:, 1:5].clip(0, np.tile(frame_wh, 2))
    rows = rows[(rows[:, 3:5] - rows[:, 1:3] >= 1).all(1)]
    # np.lexsort sorts by its last key first: by frame, then by score (best first), then by box.
    rows = rows[np.lexsort([*rows[:, 1:5].T, -rows[:, 5], rows[:, 0]])]
    parts = np.split(rows[:, 1:].astype(np.float32), np.searchsorted(rows[:, 0], np.arange(1, len(timestamps_s))))
    nobody = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    return [_joined(detections.get(frame, nobody), propagated, most) for frame, propagated in enumerate(parts)]


def _joined(detected: Boxes, propagated: Float32[np.ndarray, "people 5"], most: int) -> Boxes:
    propagated = propagated[: max(0, most - len(detected))]
    if not len(propagated):
        return detected
    corners = np.concatenate([detected.corners, propagated[:, :4]])
    return Boxes(corners, np.concatenate([detected.scores, propagated[:, 4]]))


def _follow(detections: Sequence[Boxes], moments_s: Sequence[float]) -> list[_Route]:
    """All tracked people, by first detection; `moments_s` are the timestamps of the looks."""
    everybody: list[_Route] = []
    alive: list[_Route] = []
    for look, boxes in enumerate(detections):
        # Boxes are sorted, so that the result does not depend on the order in which they were given.
        finds = sorted(np.column_stack([boxes.corners, boxes.scores]).tolist(), key=lambda f: (-f[4], *f))
        alive = [route for route in alive if look - route.looks[-1] <= _MOST_MISSED + 1]
        pairs = _associate(alive, finds, [moments_s[look] - moments_s[route.looks[-1]] for route in alive])
        for position, row in pairs:
            route = alive[position]
            passed_s = moments_s[route.looks[-1] : look + 1]
            route.motion = kalman.observe(route.motion, _place(route.finds[-1]), _place(finds[row]), passed_s)
            route.looks.append(look)
            route.finds.append(finds[row])
        matched = {row for _, row in pairs}
        born = [_Route(kalman.start(_place(f)), [look], [f]) for row, f in enumerate(finds) if row not in matched]
        everybody += born
        alive += born
    return everybody


def _associate(alive: Sequence[_Route], finds: Sequence[Find], elapsed_s: Sequence[float]) -> list[tuple[int, int]]:
    """(position in `alive`, row of `finds`) of every match."""
    if not alive or not finds:
        return []
    since = [(route, min(elapsed, _STEADY_S)) for route, elapsed in zip(alive, elapsed_s, strict=True)]
    expected = np.array([kalman.predict(route.motion, elapsed) for route, elapsed in since])
    variances = np.array([kalman.variances(route.motion, elapsed) for route, elapsed in since])
    overlaps = iou(kalman.boxes_of(expected), np.array(finds)[:, :4])
    likely = likelihood(expected, variances, np.array([_place(find) for find in finds]))
    return match((overlaps + likely) / 2, _FITS)


def _way(
    route: _Route, looks: Int64[np.ndarray, " looks"], times_s: Float64[np.ndarray, " frames"]
) -> Float64[np.ndarray, "rows 6"]:
    """Frame, box and score of a person in the frames without a detection, where they are expected."""
    detected = looks[route.looks]
    frames = np.arange(detected[0], detected[-1] + 1)
    columns = [np.interp(times_s[frames], times_s[detected], column) for column in np.array(route.finds).T]
    rows = [np.column_stack([frames, *columns])[~np.isin(frames, detected)]]
    if route.looks[-1] + 1 < len(looks):
        after = np.arange(detected[-1] + 1, looks[route.looks[-1] + 1])
        middle_s = (times_s[detected[-1]] + times_s[after[-1] + 1]) / 2 if len(after) else 0
        after = after[times_s[after] <= middle_s]
        rows.append(_predicted(route.motion, after, times_s[after] - times_s[detected[-1]], route.finds[-1][4]))
    if route.looks[0] > 0:
        before = np.arange(looks[route.looks[0] - 1] + 1, detected[0])
        middle_s = (times_s[before[0] - 1] + times_s[detected[0]]) / 2 if len(before) else 0
        before = before[times_s[before] > middle_s]
        motion = _backwards(route, times_s[looks].tolist())
        rows.append(_predicted(motion, before, times_s[detected[0]] - times_s[before], route.finds[0][4]))
    return np.concatenate(rows)


def _backwards(route: _Route, moments_s: Sequence[float]) -> kalman.Motion:
    """The motion as of the first detection, with time reversed."""
    motion = kalman.start(_place(route.finds[-1]))
    for (later, last), (look, find) in pairwise(zip(reversed(route.looks), reversed(route.finds), strict=True)):
        passed_s = [-moment_s for moment_s in reversed(moments_s[look : later + 1])]
        motion = kalman.observe(motion, _place(last), _place(find), passed_s)
    return motion


def _predicted(
    motion: kalman.Motion,
    frames: Int64[np.ndarray, " frames"],
    elapsed_s: Float64[np.ndarray, " frames"],
    score: float,
) -> Float[np.ndarray, "frames 6"]:
    places = np.array([kalman.predict(motion, elapsed) for elapsed in elapsed_s.clip(max=_STEADY_S).tolist()]).reshape(
        -1, 4
    )
    return np.column_stack([frames, kalman.boxes_of(places), np.full(len(frames), score)])


def _place(find: Find) -> list[float]:
    return kalman.place_of(find[:4])
