"""Metrics of one sequence, in millimetres from positions in metres; computed in float64.

Predictions and targets are the same joints in the same frames, usually root-relative; the mean over joints includes
the root, as everywhere in the field, though its error is then 0 by construction.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

_MM_PER_M = 1000.0
PCK_THRESHOLD_MM = 150.0
_AUC_STEP_MM = 5.0
# A pose whose squared size, m², is below this counts as a single point, which has no scale and no rotation.
_TINY = 1e-12

Sequence3D = Float[Tensor, "frames joints 3"]


def errors_mm(pred: Sequence3D, target: Sequence3D) -> Float64[Tensor, "frames joints"]:
    """Distance of each predicted joint to the true one, mm; its mean over frames is the error per joint."""
    return torch.linalg.vector_norm(pred.double() - target.double(), dim=-1) * _MM_PER_M


def mpjpe_mm(pred: Sequence3D, target: Sequence3D) -> float:
    """Protocol 1: mean per-joint position error."""
    return errors_mm(pred, target).mean().item()


def p_mpjpe_mm(pred: Sequence3D, target: Sequence3D) -> float:
    """Protocol 2: MPJPE after the best similarity per frame."""
    return mpjpe_mm(align_similarity(pred, target), target)


def n_mpjpe_mm(pred: Sequence3D, target: Sequence3D) -> float:
    """Protocol 3: MPJPE after the best scale per frame (Rhodin et al. 2018)."""
    return mpjpe_mm(align_scale(pred, target), target)


def mpjve_mm(pred: Sequence3D, target: Sequence3D) -> float:
    """Mean per-joint velocity error, mm per frame (not per second): MPJPE of the differences between frames.

    Defined from two frames on; NaN for one.
    """
    return mpjpe_mm(pred.double().diff(dim=0), target.double().diff(dim=0))


def align_similarity(pred: Sequence3D, target: Sequence3D) -> Float64[Tensor, "frames joints 3"]:
    """Scale, rotate (never reflect) and move each frame of `pred` to the least squared distance from `target`.

    The solution is that of Umeyama (1991). A predicted frame that is a single point moves to the target's centre.
    """
    p, y = pred.double(), target.double()
    p, centre = p - p.mean(1, keepdim=True), y.mean(1, keepdim=True)
    u, singular, vt = torch.linalg.svd((y - centre).mT @ p)
    signs = torch.ones_like(singular)
    signs[:, 2] = torch.where(torch.linalg.det(u @ vt) < 0, -1.0, 1.0)
    rotation = (vt.mT * signs[:, None]) @ u.mT
    scale = (singular * signs).sum(-1) / p.square().sum((1, 2)).clamp_min(_TINY)
    return scale[:, None, None] * p @ rotation + centre


def align_scale(pred: Sequence3D, target: Sequence3D) -> Float64[Tensor, "frames joints 3"]:
    """Multiply each frame of `pred` by <P, Y>/<P, P>, about the origin."""
    p, y = pred.double(), target.double()
    return p * (p * y).sum((1, 2), keepdim=True) / p.square().sum((1, 2), keepdim=True).clamp_min(_TINY)


def pck(errors: Float64[Tensor, "frames joints"], threshold_mm: float = PCK_THRESHOLD_MM) -> float:
    """Percentage of joints whose error (mm) is below the threshold.

    As MPI-INF-3DHP counts it (Mehta et al. 2017), there over 14 joints, here over those given.
    """
    return (errors < threshold_mm).double().mean().item() * 100


def auc(errors: Float64[Tensor, "frames joints"]) -> float:
    """Area under the PCK curve: the mean of PCK at 0, 5, ... 150 mm, percent (MPI-INF-3DHP).

    No error is below 0 mm: 31 thresholds give a perfect prediction 30/31, 96.8 %.
    """
    steps = round(PCK_THRESHOLD_MM / _AUC_STEP_MM)
    return sum(pck(errors, step * _AUC_STEP_MM) for step in range(steps + 1)) / (steps + 1)


def bone_length_deviation(positions: Sequence3D, bones: Sequence[tuple[int, int]]) -> float:
    """How much bone lengths vary: standard deviation over time divided by the mean length, averaged over bones.

    Args:
        positions: Metres; needs no target.
        bones: (child, parent), as in `JointLayout.bones`.
    """
    child, parent = (list(ends) for ends in zip(*bones, strict=True))
    lengths = errors_mm(positions[:, child], positions[:, parent])
    return (lengths.std(0, correction=0) / lengths.mean(0).clamp_min(_TINY)).mean().item()


def sequence_metrics(pred: Sequence3D, target: Sequence3D, bones: Sequence[tuple[int, int]]) -> dict[str, float]:
    """All metrics of this module by name; a single frame has no `mpjve_mm`."""
    errors = errors_mm(pred, target)
    metrics = {
        "mpjpe_mm": errors.mean().item(),
        "p_mpjpe_mm": p_mpjpe_mm(pred, target),
        "n_mpjpe_mm": n_mpjpe_mm(pred, target),
        "pck_150mm": pck(errors),
        "auc_150mm": auc(errors),
        "bone_length_deviation": bone_length_deviation(pred, bones),
    }
    return metrics | ({"mpjve_mm": mpjve_mm(pred, target)} if len(pred) > 1 else {})
