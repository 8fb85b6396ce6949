"""Tiny pictures of frames, from which the cuts of a video are found once all of its frames are known (`cuts.py`)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

ROWS, COLUMNS = 9, 16
# This many pixels on each side of a cell are averaged; all pixels would take longer without a better result.
_SAMPLES = 4

Thumbnails = UInt8[np.ndarray, f"frames {ROWS} {COLUMNS} 3"]


def thumbnails(images: UInt8[np.ndarray, "frames height width 3"]) -> Thumbnails:
    """The mean colour of each cell of a grid over each picture, from some of its pixels."""
    frames, height, width, _ = images.shape
    rows = _sampled(height, ROWS * _SAMPLES)
    columns = _sampled(width, COLUMNS * _SAMPLES)
    some = images[:, rows[:, None], columns].reshape(frames, ROWS, _SAMPLES, COLUMNS, _SAMPLES, 3)
    return np.rint(some.mean((2, 4), dtype=np.float32)).astype(np.uint8)


def _sampled(size: int, count: int) -> np.ndarray:
    """Evenly spread places along a side of a picture."""
    return ((np.arange(count) + 0.5) * size / count).astype(np.int64)


def from_bytes(pictures: Sequence[bytes]) -> Thumbnails:
    """Thumbnails from the bytes of each."""
    return np.frombuffer(b"".join(pictures), np.uint8).reshape(-1, ROWS, COLUMNS, 3)
