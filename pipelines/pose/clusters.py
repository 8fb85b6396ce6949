"""Cells of a space of poses: k-means, and the cell of each pose."""

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

# Cells are placed by this many poses and in this many rounds of k-means; the result hardly depends on them.
_PLACED_BY, _ROUNDS = 20_000, 4
# This many poses are compared with all cells at once, which limits memory.
_CHUNK = 16_384


def cell_centres(
    poses: Float32[Tensor, "poses coordinates"], cells: int, seed: int
) -> Float32[Tensor, "cells coordinates"]:
    """The centres of cells, by k-means over some of the poses; fewer than asked for if there are fewer poses.

    Args:
        poses: At least one.
        cells: How many.
        seed: Of the places at which the cells begin.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(poses), generator=generator).to(poses.device)
    sample = poses[order[: max(_PLACED_BY, 4 * cells)]]
    centres = sample[:cells]
    for _ in range(_ROUNDS):
        nearest = nearest_cell(sample, centres)
        sums = torch.zeros_like(centres).index_add_(0, nearest, sample)
        counts = torch.bincount(nearest, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return centres


def nearest_cell(
    poses: Float32[Tensor, "poses coordinates"], centres: Float32[Tensor, "cells coordinates"]
) -> Int64[Tensor, " poses"]:
    """The number of the cell whose centre is nearest to each pose."""
    return torch.cat([torch.cdist(part, centres).argmin(1) for part in poses.split(_CHUNK)])
