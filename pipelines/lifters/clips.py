"""Cuts long tracks into overlapping clips and blends their predictions, for lifters that predict whole clips.

Clips begin a third of their length after each other; the last one ends with its track. Predictions of a frame are
averaged with weights that fall from the middle of a clip to its ends, where it knows least of what surrounds a frame.
So no clip begins or ends with a jump.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Clip(NamedTuple):
    """Frames [start, stop) of a track, and the share that each has in the result."""

    track: int
    start: int
    stop: int
    shares: Float[Tensor, " frames"]


def clips_of(track: int, length: int, frames: int) -> list[Clip]:
    """The clips of a track; a track that is no longer than a clip is one clip of its own length."""
    frames = min(frames, length)
    starts = [*range(0, length - frames, max(1, frames // 3)), length - frames]
    places = torch.arange(frames)
    weights = torch.minimum(places + 1, frames - places).float()
    total = torch.zeros(length)
    for start in starts:
        total[start : start + frames] += weights
    return [Clip(track, start, start + frames, weights / total[start : start + frames]) for start in starts]


def clip_batches(lengths: Sequence[int], frames: int, batch_frames: int) -> Iterator[list[Clip]]:
    """The clips of all tracks in batches of one length each.

    Args:
        lengths: Frames of each track.
        frames: Most frames of a clip.
        batch_frames: Most frames of a batch, unless a single clip has more.
    """
    of_length: defaultdict[int, list[Clip]] = defaultdict(list)
    for track, length in enumerate(lengths):
        of_length[min(length, frames)] += clips_of(track, length, frames)
    for length, clips in of_length.items():
        together = max(1, batch_frames // length)
        for first in range(0, len(clips), together):
            yield clips[first : first + together]
