"""The tracks that show most different poses within a number of frames."""

import heapq
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from pipelines.curation.pose_rows import PoseRows
from pipelines.pose.clusters import cell_centres, nearest_cell

# The largest number of cells of pose space, and the mean number of poses in one. The choice hardly depends on them.
_CELLS, _POSES_OF_CELL = 600, 16


def most_diverse(rows: PoseRows, frames: Sequence[int], budget_frames: int) -> list[int]:
    """Tracks whose poses cover pose space best, in the order in which they were chosen.

    A pose counts the less the more poses like it were chosen: the worth of a choice is the sum over the cells of pose
    space of the square root of the poses in them. The track that adds most for each of its frames is taken again and
    again, which comes near the best choice, as the worth is submodular.

    Args:
        rows: Poses of the tracks.
        frames: Length of each track.
        budget_frames: How many frames to choose at most.
    """
    cells = _cells_of(rows)
    chosen, left = [], budget_frames
    counts = np.zeros(_CELLS)

    def gain(track: int) -> float:
        where, how_many = cells[track]
        return float((np.sqrt(counts[where] + how_many) - np.sqrt(counts[where])).sum()) / max(1, frames[track])

    queue = [(-gain(track), track) for track in range(len(rows))]
    heapq.heapify(queue)
    while queue:
        _, track = heapq.heappop(queue)
        if frames[track] > left:
            continue
        # Gains only shrink: if this track's new gain is still the largest in the queue, no other track can have more.
        now = gain(track)
        if queue and now < -queue[0][0]:
            heapq.heappush(queue, (-now, track))
            continue
        where, how_many = cells[track]
        counts[where] += how_many
        chosen.append(track)
        left -= frames[track]
    return chosen


def _cells_of(rows: PoseRows) -> list[tuple[np.ndarray, np.ndarray]]:
    """The cells that the poses of each track are in, and how many of them are in each."""
    complete = rows.complete()
    if not len(complete):
        return [(np.zeros(0, np.int64), np.zeros(0, np.int64))] * len(rows)
    poses = torch.from_numpy(rows.poses[complete].astype(np.float32))
    cells = nearest_cell(poses, cell_centres(poses, max(1, min(_CELLS, len(poses) // _POSES_OF_CELL)), seed=0)).numpy()
    bounds = np.searchsorted(complete, rows.starts)
    return [np.unique(cells[a:b], return_counts=True) for a, b in pairwise(bounds)]
