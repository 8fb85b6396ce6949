"""How often to draw each labeled frame, so that common poses and long recordings do not dominate."""

from collections.abc import Iterable
from fnmatch import fnmatch

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from pipelines.pose.clusters import cell_centres, nearest_cell
from pipelines.sampling.sequences import Sequences
from schemas.layouts import JointLayout

# The number of cells of pose space; the weights hardly depend on it.
_CELLS = 600


def frame_weights(
    sequences: Sequences, diversity: bool, subject_weights: Iterable[str], seed: int
) -> Float64[Tensor, " frames"]:
    """How often to draw each frame, relative to the others; on the device of the sequences.

    Args:
        sequences: Labeled.
        diversity: Whether a frame counts the less the more frames are like it: 1 / sqrt(frames in its cell).
        subject_weights: `PATTERN=FACTOR` for subjects; a subject takes the first pattern that it matches.
        seed: Of the places of the cells.
    """
    patterns = [(pattern, float(factor)) for pattern, _, factor in (text.rpartition("=") for text in subject_weights)]
    factors = torch.tensor([_factor(info.subject or "", patterns) for info in sequences.infos])
    weights = factors.double().repeat_interleave(sequences.lengths.cpu()).to(sequences.up.device)
    if diversity:
        poses = body_frame(sequences)
        cells = nearest_cell(poses, cell_centres(poses, _CELLS, seed))
        weights /= torch.bincount(cells, minlength=_CELLS).double().sqrt()[cells]
    return weights


def body_frame(sequences: Sequences) -> Float32[Tensor, "frames coordinates"]:
    """Joints relative to the root, in axes of the ground and of the hips: the same pose is the same anywhere."""
    assert sequences.positions is not None
    assert sequences.positions_layout is not None
    layout = sequences.positions_layout
    up = sequences.up.repeat_interleave(sequences.lengths, dim=0)
    left, right = (sequences.positions[:, layout.index(f"{side}_hip")] for side in ("left", "right"))
    across = left - right
    across = torch.nn.functional.normalize(across - (across * up).sum(-1, keepdim=True) * up, dim=-1)
    axes = torch.stack([across, torch.linalg.cross(up, across), up], dim=-1)
    relative = sequences.positions - sequences.positions[:, _root(layout), None]
    return (relative @ axes).flatten(1)


def _factor(subject: str, patterns: Iterable[tuple[str, float]]) -> float:
    return next((factor for pattern, factor in patterns if fnmatch(subject, pattern)), 1.0)


def _root(layout: JointLayout) -> int:
    return layout.parents.index(-1)
