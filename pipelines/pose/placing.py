"""Places a person of known pose: finds the root for which the projected joints lie on their viewing rays."""

import torch
from jaxtyping import Float
from torch import Tensor

# A person is placed at least this far away, m, because a pose that fits no rays must not end up behind the camera.
NEAREST_M = 0.5
# A number below the spread of the rays of any visible person, for frames without keypoints.
_TINY = 1e-6


def place(
    pose: Float[Tensor, "*frames joints 3"],
    slopes: Float[Tensor, "*frames joints 2"],
    weights: Float[Tensor, "*frames joints"],
) -> Float[Tensor, "*frames 3"]:
    """The root of each frame in camera space (m) by linear least squares; gradients pass through it.

    A joint X of the pose lies on the ray (u, v) if X_x + t_x = u (X_z + t_z), and likewise for v: two equations in the
    root t for each joint. With everything centred by its weighted mean over the joints, t_x and t_y drop out, and
    t_z = Σ w (u, v)·(X_xy - (u, v) X_z) / Σ w |(u, v)|².

    Args:
        pose: Joints relative to the root, m, axes of camera space.
        slopes: Rays of the same joints.
        weights: Weight of each joint.
    """
    weight = weights[..., None]
    share = weight / weight.sum(-2, keepdim=True).clamp_min(_TINY)
    mean_slope = (share * slopes).sum(-2, keepdim=True)
    spread = slopes - mean_slope
    sides = pose[..., :2] - slopes * pose[..., 2:]
    mean_side = (share * sides).sum(-2, keepdim=True)
    energy = (weight * spread.square()).sum((-2, -1)).clamp_min(_TINY)
    depth = (weight * spread * (sides - mean_side)).sum((-2, -1)) / energy
    depth = depth.clamp_min(NEAREST_M)[..., None]
    return torch.cat([mean_slope[..., 0, :] * depth - mean_side[..., 0, :], depth], dim=-1)


def fit_root(
    pose: Float[Tensor, "frames joints 3"],
    slopes: Float[Tensor, "frames joints 2"],
    weights: Float[Tensor, "frames joints"],
) -> Float[Tensor, "frames 3"]:
    """The root of each frame in camera space (m), as `place` finds it.

    Frames in which fewer than two joints have a weight take the nearest frame in which more have.

    Args:
        pose: Joints relative to the root, m, axes of camera space.
        slopes: Rays of the same joints.
        weights: Weight of each joint.
    """
    root = place(pose, slopes, weights)
    known = (weights > 0).sum(1) >= 2
    return root[_nearest_known(known)] if known.any() else root


def _nearest_known(known: Tensor) -> Tensor:
    """For each frame the nearest one that is known."""
    frames = torch.arange(len(known))
    where = frames[known]
    right = torch.searchsorted(where, frames).clamp_max(len(where) - 1)
    left = (right - 1).clamp_min(0)
    return torch.where((frames - where[left]).abs() <= (where[right] - frames).abs(), where[left], where[right])
