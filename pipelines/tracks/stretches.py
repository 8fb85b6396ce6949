"""Stretches of consecutive frames for which something is true."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool


def stretches(true: Bool[np.ndarray, " frames"]) -> Iterator[tuple[int, int]]:
    """(first frame, frame after the last) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]]).astype(np.int8)))
    yield from ((start, stop) for start, stop in edges.reshape(-1, 2).tolist())
