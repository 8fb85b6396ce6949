"""Losses of semi-supervised training (Pavllo et al. 2019) and their parts; see docs/method.md, losses.

By default each is the mean over the batch. With `per_sample` it is the mean of each sample: workers with unequal shares
of a batch sum these and divide by the number of samples of all workers.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

# A pose whose squared size, m², is below this is within a micrometre, and thus a single point without scale.
_TINY = 1e-12


def mpjpe(
    pred: Float[Tensor, "batch *points dims"], target: Float[Tensor, "batch *points dims"], *, per_sample: bool = False
) -> Float[Tensor, ""] | Float[Tensor, " batch"]:
    """Mean distance of predicted and true points, in their unit: mean ||P - Y||."""
    return _mean(_distances(pred, target), per_sample)


def n_mpjpe(
    pred: Float[Tensor, "batch frames joints dims"],
    target: Float[Tensor, "batch frames joints dims"],
    *,
    per_sample: bool = False,
) -> Float[Tensor, ""] | Float[Tensor, " batch"]:
    """Mean distance after each predicted frame is multiplied by <P, Y>/<P, P> (Rhodin et al. 2018)."""
    energy = pred.square().sum((2, 3), keepdim=True)
    scale = (pred * target).sum((2, 3), keepdim=True) / energy.clamp_min(_TINY)
    return mpjpe(scale * pred, target, per_sample=per_sample)


def mpjve(
    pred: Float[Tensor, "batch frames joints dims"],
    target: Float[Tensor, "batch frames joints dims"],
    *,
    per_sample: bool = False,
) -> Float[Tensor, ""] | Float[Tensor, " batch"]:
    """Mean distance of the differences between frames, in the unit of the points per frame; from two frames on."""
    return mpjpe(pred.diff(dim=1), target.diff(dim=1), per_sample=per_sample)


def weighted_mpjpe(
    pred: Float[Tensor, "batch *points 3"],
    target: Float[Tensor, "batch *points 3"],
    weights: Float[Tensor, "#batch *#points"],
    *,
    per_sample: bool = False,
) -> Float[Tensor, ""] | Float[Tensor, " batch"]:
    """Mean of weight times distance, not divided by the sum of the weights."""
    return _mean(weights * _distances(pred, target), per_sample)


def depth_weighted_mpjpe(
    pred_root: Float[Tensor, "batch *points 3"],
    target_root: Float[Tensor, "batch *points 3"],
    *,
    per_sample: bool = False,
) -> Float[Tensor, ""] | Float[Tensor, " batch"]:
    """Error of the root trajectory in camera space (m), each point weighted by 1/Z of its target.

    A distant pixel covers more metres, so the image determines the root less exactly there.
    """
    return weighted_mpjpe(pred_root, target_root, 1 / target_root[..., 2], per_sample=per_sample)


def reprojection_error(
    projected: Float[Tensor, "batch *points 2"],
    keypoints: Float[Tensor, "batch *points 2"],
    confidence: Float[Tensor, " batch *points"] | None = None,
    *,
    per_sample: bool = False,
) -> Float[Tensor, ""] | Float[Tensor, " batch"]:
    """Mean distance of projected joints to their keypoints, screen units.

    With confidence it is the weighted mean, and 0 where all weights are 0. The mean over the batch then equals the mean
    of the per-sample values weighted by the summed confidence of each sample.

    Args:
        projected: Joints of the prediction.
        keypoints: The same joints, as detected.
        confidence: Weight of each keypoint.
        per_sample: Whether to give one mean per sample.
    """
    distances = _distances(projected, keypoints)
    if confidence is None:
        return _mean(distances, per_sample)
    total, weight = _mean(confidence * distances, per_sample), _mean(confidence, per_sample)
    return total / weight.masked_fill(weight == 0, 1)


def bone_ends(bones: Sequence[tuple[int, int]], device: torch.device) -> Int64[Tensor, "2 bones"]:
    """The bones of `JointLayout.bones` as a tensor: every upload of a list would make the host wait for its GPU."""
    return torch.tensor(bones, device=device).T


def bone_lengths(
    positions: Float[Tensor, "batch frames joints 3"], ends: Int64[Tensor, "2 bones"]
) -> Float[Tensor, "batch bones"]:
    """Length of each bone, averaged over the frames of each sample.

    Args:
        positions: Joints.
        ends: Child and parent of each bone, on the device of the joints.
    """
    return _distances(positions[:, :, ends[0]], positions[:, :, ends[1]]).mean(1)


def bone_length_gap(
    labeled_mean: Float[Tensor, " bones"], unlabeled_mean: Float[Tensor, " bones"]
) -> Float[Tensor, ""]:
    """Mean over bones of how much the mean lengths differ between labeled and unlabeled samples.

    Args:
        labeled_mean: Bone lengths of the predictions for labeled samples (not of the labels), averaged over the batch.
        unlabeled_mean: Bone lengths of the predictions for unlabeled samples.
    """
    return (labeled_mean - unlabeled_mean).abs().mean()


def _distances(a: Float[Tensor, "*points dims"], b: Float[Tensor, "*points dims"]) -> Float[Tensor, "*points"]:
    return torch.linalg.vector_norm(a - b, dim=-1)


def _mean(values: Float[Tensor, " batch *points"], per_sample: bool) -> Float[Tensor, "*kept"]:
    return values.reshape(len(values), -1).mean(1) if per_sample else values.mean()
