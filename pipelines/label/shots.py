"""The shots of a video, from the thumbnails of all its clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int64

from pipelines.video.cuts import find_cuts, is_still
from pipelines.video.thumbnails import from_bytes


@dataclass(frozen=True)
class Shots:
    """Which shot each frame of a video belongs to.

    Attributes:
        numbers: The number of its shot, from 0.
        still: Whether nothing moves in its shot, as in a picture that is shown for a while.
    """

    numbers: Int64[np.ndarray, " frames"]
    still: Bool[np.ndarray, " frames"]


def shots_of(pictures: Sequence[bytes | None], timestamps_s: Float64[np.ndarray, " frames"]) -> Shots | None:
    """The shots of a video; None if there are no thumbnails.

    Args:
        pictures: The thumbnail of each frame; None for frames that could not be decoded, or that an earlier version
            of Raylift has decoded.
        timestamps_s: When each frame is shown, s.
    """
    known_frames = np.flatnonzero([picture is not None for picture in pictures])
    if not len(known_frames):
        return None
    thumbnails = from_bytes([picture for picture in pictures if picture is not None])
    times_s = timestamps_s[known_frames]
    cuts = find_cuts(thumbnails, times_s)
    begins = np.zeros(len(pictures), np.int64)
    begins[known_frames[cuts]] = 1
    numbers = np.cumsum(begins)
    bounds = pairwise([0, *cuts.tolist(), len(known_frames)])
    still = np.array([is_still(thumbnails[start:stop], times_s[start:stop]) for start, stop in bounds])
    return Shots(numbers, still[numbers])
