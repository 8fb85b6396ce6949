"""Finds the nearest poses among many: the search is exact within a few cells of pose space around each query."""

import numpy as np
import torch
from jaxtyping import Float32, Int64

from pipelines.pose.clusters import cell_centres, nearest_cell

# With fewer poses than this, all of them are searched.
_SMALL = 4096
# A pose is looked for in this many cells, because its copy may lie beyond the border of a cell.
_PROBED = 3


class PoseIndex:
    """Poses by the cells in which they lie.

    Args:
        poses: At least one, all known.
    """

    def __init__(self, poses: Float32[np.ndarray, "poses coordinates"]) -> None:
        self._poses = torch.from_numpy(poses)
        # The search takes the least time if there are as many cells as poses in a cell.
        cells = int(len(poses) ** 0.5) if len(poses) > _SMALL else 1
        self._centres = cell_centres(self._poses, cells, seed=0)
        cell_of = nearest_cell(self._poses, self._centres)
        self._order = torch.argsort(cell_of, stable=True)
        self._starts = torch.searchsorted(cell_of[self._order], torch.arange(len(self._centres) + 1))

    def nearest(
        self, queries: Float32[np.ndarray, "queries coordinates"], count: int
    ) -> Int64[np.ndarray, "queries count"]:
        """The numbers of the nearest poses to each query; -1 where there are fewer than `count`.

        Args:
            queries: Poses, all known.
            count: How many to find for each.
        """
        query_poses = torch.from_numpy(queries)
        probed = min(_PROBED, len(self._centres))
        cells = torch.cat(
            [torch.cdist(part, self._centres).topk(probed, largest=False)[1] for part in query_poses.split(8192)]
        )
        neighbours = torch.full((len(query_poses), probed * count), -1, dtype=torch.int64)
        distances = torch.full((len(query_poses), probed * count), torch.inf)
        for probe in range(probed):
            columns = slice(probe * count, (probe + 1) * count)
            by_cell = torch.argsort(cells[:, probe], stable=True)
            bounds = torch.searchsorted(cells[by_cell, probe], torch.arange(len(self._centres) + 1))
            for cell in torch.unique(cells[:, probe]).tolist():
                query_rows = by_cell[bounds[cell] : bounds[cell + 1]]
                cell_rows = self._order[self._starts[cell] : self._starts[cell + 1]]
                if not len(cell_rows):
                    continue
                kept = min(count, len(cell_rows))
                nearest_distances, nearest_places = torch.cdist(query_poses[query_rows], self._poses[cell_rows]).topk(
                    kept, largest=False
                )
                rows = torch.arange(columns.start, columns.start + kept)
                neighbours[query_rows[:, None], rows] = cell_rows[nearest_places]
                distances[query_rows[:, None], rows] = nearest_distances
        return neighbours.gather(1, distances.topk(count, largest=False)[1]).numpy()
