"""Cuts of a video, from the tiny pictures of its frames (`thumbnails.py`).

As in PySceneDetect's content detector, a cut is where the picture changes at once and more than around it. Here it has
to change in most of its cells, because people who run through a picture change only those that they cover, and it has
to stay changed, because after a flash the picture is as before. Cross-fades and fades are found by their frames, which
are mixtures of the picture before and the one after; those of a camera that pans are not.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from pipelines.video.thumbnails import Thumbnails

# At most this share of the cells may look alike on both sides of a cut; the others differ by at least this many grey
# levels of 255. Frames of real recordings 33 ms apart differed by at most 8, and those of different cameras in one room
# by at least 14.
_ALIKE, _CHANGED = 0.3, 10.0
# Rows or columns that are always darker than this are bars beside the film.
_DARK = 20
# The same place in another light has the same pattern, with a correlation above this; different places had at most 0.6.
_SAME_PATTERN = 0.9
# When a camera pans fast, the picture before is the one after, moved by at most this many columns and rows, with at
# least this correlation. Pans by a tenth of the picture per frame had 0.74 to 0.97, and other places at most 0.69.
_MOVED_COLUMNS, _MOVED_ROWS, _SAME_MOVED = 4, 1, 0.8
# If the earlier picture is back after at most this time, s, it was lit by a flash, or hidden by somebody in front of
# the camera.
_FLASH_S = 0.3
# A cut exceeds the changes around it by this factor; this many of them are compared on each side.
_OUTSTANDING, _AROUND = 2.0, 3
# Half of the longest fade that is found reliably, s, and how much its frames may differ from a mixture.
_FADE_S, _IMPURITY = 0.6, 0.2
# A single step must be below the first share of a fade, or it is sudden; a step back must be below the second.
_SUDDEN, _BACK = 0.5, 0.1
# In a still picture, no cell changes by more than this many grey levels, for at least this time, s. Encoding changes a
# picture by up to 4 from frame to frame; people who stand and gesture changed cells by at least 9 in a second.
_STILL, _STILL_S = 5, 1.0
# This many pairs of frames are compared at a time, which bounds memory.
_BLOCK = 4096


def find_cuts(thumbnails: Thumbnails, timestamps_s: Float64[np.ndarray, " frames"]) -> Int64[np.ndarray, " cuts"]:
    """Where shots begin, other than the first.

    Args:
        thumbnails: Of the frames of a video in order of time.
        timestamps_s: When each is shown, s.

    Returns:
        Places in `thumbnails`, ascending.
    """
    count = len(thumbnails)
    if count < 2:
        return np.zeros(0, np.int64)
    thumbnails, places = _without_bars(thumbnails), np.arange(count)
    steps = np.append(0, _changes(thumbnails, places[:-1], places[1:]))
    sudden = [
        place for place in np.flatnonzero(steps >= _CHANGED).tolist() if _is_cut(thumbnails, timestamps_s, steps, place)
    ]
    cuts = list(sudden)
    for start, stop in pairwise([0, *cuts, count]):
        cuts += _fades(thumbnails, timestamps_s, start, stop)
    return np.array(sorted(cuts), np.int64)


def is_still(thumbnails: Thumbnails, timestamps_s: Float64[np.ndarray, " frames"]) -> bool:
    """Whether a shot shows a still picture."""
    long_enough = timestamps_s[-1] - timestamps_s[0] >= _STILL_S
    return bool(long_enough and (thumbnails.max(0) - thumbnails.min(0)).max() <= _STILL)


def _changes(
    thumbnails: Thumbnails, before: Int64[np.ndarray, " pairs"], after: Int64[np.ndarray, " pairs"]
) -> Float32[np.ndarray, " pairs"]:
    """The difference that 70 % of the cells reach in each pair of frames, in grey levels."""
    blocks = range(0, len(before), _BLOCK)
    parts = [_block_changes(thumbnails[before[at : at + _BLOCK]], thumbnails[after[at : at + _BLOCK]]) for at in blocks]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _block_changes(before: Thumbnails, after: Thumbnails) -> Float32[np.ndarray, " pairs"]:
    apart = np.abs(before.astype(np.int16) - after).mean(-1, dtype=np.float32).reshape(len(before), -1)
    place = int(_ALIKE * apart.shape[1])
    return np.partition(apart, place, axis=1)[:, place]


def _without_bars(thumbnails: Thumbnails) -> UInt8[np.ndarray, "frames rows columns 3"]:
    """The pictures without bars, which are always dark, above and below a film or left and right of it."""
    lit = thumbnails.max((0, 3)) >= _DARK
    parts = []
    for axis in (0, 1):
        places = np.flatnonzero(lit.any(1 - axis))
        # Bars lie on both sides; a film of somebody on a dark stage may be dark on one side too.
        framed = len(places) and places[0] > 0 and places[-1] < lit.shape[axis] - 1
        parts.append(slice(places[0], places[-1] + 1) if framed else slice(None))
    rows, columns = parts
    kept_rows, kept_columns = thumbnails[:, rows], thumbnails[:, :, columns]
    return kept_rows if kept_rows[0].size <= kept_columns[0].size else kept_columns


def _is_cut(
    thumbnails: Thumbnails,
    times_s: Float64[np.ndarray, " frames"],
    steps: Float32[np.ndarray, " frames"],
    place: int,
) -> bool:
    """Whether the change from the frame before `place` stands out, and leads to another picture that stays."""
    around = np.concatenate([[0, 0], steps[max(1, place - _AROUND) : place], steps[place + 1 : place + 1 + _AROUND]])
    # The second largest change is used, because a flash on a cut ends with another large change.
    if steps[place] < _OUTSTANDING * np.sort(around)[-2:][0]:
        return False
    first = np.searchsorted(times_s, times_s[place - 1] - _FLASH_S)
    last = np.searchsorted(times_s, times_s[place] + _FLASH_S, side="right")
    before, after = np.meshgrid(np.arange(first, place), np.arange(place, last))
    changes = _changes(thumbnails, before.ravel(), after.ravel())
    pair = thumbnails[place - 1], thumbnails[place]
    return bool(changes.min() >= _CHANGED) and not _same_pattern(*pair) and not _is_moved(*pair)


def _same_pattern(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two frames show the same place in another light."""
    a, b = (picture.mean(-1).ravel() - picture.mean() for picture in (one, other))
    return bool(a @ b > _SAME_PATTERN * np.sqrt((a @ a) * (b @ b)))


def _is_moved(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two frames show the same place from a camera that was turned in between."""
    before, after = (_with_halves(picture.astype(np.float32)) for picture in (one, other))
    for right in range(-2 * _MOVED_COLUMNS, 2 * _MOVED_COLUMNS + 1):
        for down in range(-_MOVED_ROWS, _MOVED_ROWS + 1):
            a = _shared(before, right, down)
            b = _shared(after, -right, -down)
            if a.size and float(a @ b) > _SAME_MOVED * np.sqrt(float(a @ a) * float(b @ b)) > 0:
                return True
    return False


def _with_halves(picture: Float32[np.ndarray, "rows columns 3"]) -> Float32[np.ndarray, "rows wide 3"]:
    """The picture with a column between each two, so that it can be moved by halves of one."""
    wide = np.repeat(picture, 2, axis=1)[:, :-1]
    wide[:, 1::2] = (picture[:, :-1] + picture[:, 1:]) / 2
    return wide


def _shared(picture: Float32[np.ndarray, "rows columns 3"], right: int, down: int) -> Float32[np.ndarray, " values"]:
    """The part of a picture that overlaps with a moved one, less its mean colour."""
    rows, columns, _ = picture.shape
    part = picture[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)]
    return (part - part.mean((0, 1))).ravel() if part.size else part.ravel()


def _fades(thumbnails: Thumbnails, times_s: Float64[np.ndarray, " frames"], start: int, stop: int) -> list[int]:
    """The middle of each fade and cross-fade among the frames [start, stop), which no sudden cut divides."""
    places, times = np.arange(start, stop), times_s[start:stop]
    before = start + np.searchsorted(times, times - _FADE_S)
    after = start + np.minimum(np.searchsorted(times, times + _FADE_S), stop - start - 1)
    changes = _changes(thumbnails, before, after)
    middles = np.full(len(places), -1)
    for row in np.flatnonzero((changes >= _CHANGED) & (before < places) & (places < after)):
        middles[row] = _middle_of_fade(thumbnails, before[row], after[row])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], middles >= 0, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2).tolist()
    return [int(middles[first + changes[first:last].argmax()]) for first, last in runs]


def _middle_of_fade(thumbnails: Thumbnails, before: int, after: int) -> int:
    """The first frame that is more like the later of two pictures; -1 if those between do not fade into it."""
    if _same_pattern(thumbnails[before], thumbnails[after]):
        return -1
    frames = thumbnails[before : after + 1].reshape(after - before + 1, -1).astype(np.float32)
    way = frames[-1] - frames[0]
    shares = (frames - frames[0]) @ way / (way @ way)
    impurity = np.quantile(np.abs(frames - frames[0] - shares[:, None] * way), 1 - _ALIKE, axis=1)
    steps = np.diff(shares)
    fades = impurity.max() <= _IMPURITY * np.abs(way).mean() and steps.min() > -_BACK and steps.max() < _SUDDEN
    return before + int((shares > 0.5).argmax()) if fades else -1
