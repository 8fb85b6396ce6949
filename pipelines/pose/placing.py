"""Places a person of known pose: finds the root for which the projected joints lie on their viewing rays."""

import torch
from jaxtyping import Float
from torch import Tensor

# A person is placed at least this far away, m, because a pose that fits no rays must not end up behind the camera.
NEAREST_M = 0.5
# This ridge is small compared with the joints of a visible person, and makes frames without keypoints solvable.
_RIDGE = 1e-6


def fit_root(
    pose: Float[Tensor, "frames joints 3"],
    slopes: Float[Tensor, "frames joints 2"],
    weights: Float[Tensor, "frames joints"],
) -> Float[Tensor, "frames 3"]:
    """The root of each frame in camera space (m) by linear least squares.

    A joint X of the pose lies on the ray (u, v) if X_x + t_x = u (X_z + t_z), and likewise for v: two equations in the
    root t for each joint. Frames in which no joint has a weight take the nearest frame that has one.

    Args:
        pose: Joints relative to the root, m, axes of camera space.
        slopes: Rays of the same joints.
        weights: Weight of each joint.
    """
    u, v = slopes.unbind(-1)
    zero, one = torch.zeros_like(u), torch.ones_like(u)
    rows = torch.stack([torch.stack([one, zero, -u], -1), torch.stack([zero, one, -v], -1)], dim=-2).flatten(1, 2)
    sides = (slopes * pose[..., 2:] - pose[..., :2]).flatten(1)
    weighted = rows * weights.repeat_interleave(2, dim=1)[..., None]
    normal = weighted.mT @ rows + _RIDGE * torch.eye(3, dtype=rows.dtype)
    root = torch.linalg.solve(normal, (weighted.mT @ sides[..., None])[..., 0])
    known = (weights > 0).sum(1) >= 2
    root = root[_nearest_known(known)] if known.any() else root
    return torch.cat([root[:, :2], root[:, 2:].clamp_min(NEAREST_M)], dim=1)


def _nearest_known(known: Tensor) -> Tensor:
    """For each frame the nearest one that is known."""
    frames = torch.arange(len(known))
    where = frames[known]
    right = torch.searchsorted(where, frames).clamp_max(len(where) - 1)
    left = (right - 1).clamp_min(0)
    return torch.where((frames - where[left]).abs() <= (where[right] - frames).abs(), where[left], where[right])
