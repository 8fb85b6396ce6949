"""Refines a lifted track as a whole, so that it explains its keypoints, keeps its bones and moves smoothly.

All frames are moved together, by gradient descent, to the least sum of

- the distance of projected joints from their keypoints,
- the distance of the pose from the lifter's, which counts less along the line of sight,
- the difference of each bone's length from its mean over the track, and from its mirror image's,
- the acceleration of the joints in space.

Long tracks are refined in pieces, each with frames around it that are then left out, to bound memory. All terms
but the pose use Huber's loss, so that a wrong keypoint or a landing costs only in proportion to its size.
Each term is divided by its usual size. In the end every bone gets its mean length.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional

from pipelines.pose.placing import NEAREST_M, fit_root
from pipelines.pose.rays import turned_to
from schemas.layouts import JointLayout

# The usual size of each term: the error of keypoints as a share of the visible stature; the error of the lifter across
# and along the line of sight, m; the variation of bones and the difference of sides, m; the acceleration, m/s².
_KEYPOINT, _ACROSS_M, _ALONG_M, _BONE_M, _SIDES_M, _ACCELERATION = 0.010, 0.05, 0.08, 0.01, 0.015, 8.0
_STATURE_M = 1.7
# Huber's loss becomes linear here, in units of the usual size.
_LINEAR = 1.5
_STEPS, _LEARNING_RATE_M = 200, 0.01
# This many frames are refined together, and this many before and after them join them to their neighbours.
_PIECE, _CONTEXT = 4096, 60
# The first guess of the distance is averaged over this many frames.
_DEPTH_FRAMES = 15


@dataclass(frozen=True)
class Observed:
    """The keypoints of a track.

    Attributes:
        slopes: Viewing rays of the joints that were seen.
        weights: Weight of each, 0 where it is missing.
        joint_map: Turns the pose's joints into the points that were seen (`pipelines.pose.joint_map`).
        times_s: When each frame is shown.
    """

    slopes: Float[Tensor, "frames seen 2"]
    weights: Float[Tensor, "frames seen"]
    joint_map: Float[Tensor, "seen joints"]
    times_s: Float64[Tensor, " frames"]

    def part(self, frames: slice) -> "Observed":
        """Some of the frames."""
        return Observed(self.slopes[frames], self.weights[frames], self.joint_map, self.times_s[frames])


def place(pose: Float[Tensor, "frames joints 3"], observed: Observed) -> Float[Tensor, "frames 3"]:
    """The root of each frame (m, camera space), with its distance smoothed over half a second."""
    root = fit_root(observed.joint_map @ pose, observed.slopes, observed.weights)
    depth = _smoothed(root[:, 2])
    return root * (depth / root[:, 2])[:, None]


def refine(
    pose: Float[Tensor, "frames joints 3"], layout: JointLayout, observed: Observed, smoothness: float = 1.0
) -> tuple[Float[Tensor, "frames joints 3"], Float[Tensor, "frames 3"]]:
    """A better pose, relative to the root, and where the root is (m, camera space).

    Args:
        pose: As the lifter predicts it, relative to the root, m.
        layout: Its joints.
        observed: The keypoints.
        smoothness: Weight of the accelerations; 0 leaves them as they are.
    """
    root = place(pose, observed)
    refined, roots = [], []
    for start in range(0, len(pose), _PIECE):
        first, stop = max(0, start - _CONTEXT), min(len(pose), start + _PIECE)
        part = slice(first, stop + _CONTEXT)
        better, placed = _refine_piece(pose[part], root[part], layout, observed.part(part), smoothness)
        refined.append(better[start - first : stop - first])
        roots.append(placed[start - first : stop - first])
    joints = with_constant_bones(torch.cat(refined), layout)
    origin = joints[:, layout.parents.index(-1)]
    return joints - origin[:, None], torch.cat(roots) + origin


def _refine_piece(
    pose: Float[Tensor, "frames joints 3"],
    root: Float[Tensor, "frames 3"],
    layout: JointLayout,
    observed: Observed,
    smoothness: float,
) -> tuple[Float[Tensor, "frames joints 3"], Float[Tensor, "frames 3"]]:
    ahead = turned_to(root[:, :2] / root[:, 2:])
    scale = pose.new_tensor([_ACROSS_M, _ACROSS_M, _ALONG_M])
    children, parents = (list(ends) for ends in zip(*layout.bones, strict=True))
    mirror = [children.index(layout.mirror[child]) for child in children]
    usual_slope = _KEYPOINT * _STATURE_M / root[:, 2, None]
    moved, moved_root = torch.zeros_like(pose, requires_grad=True), torch.zeros_like(root, requires_grad=True)
    optimizer = torch.optim.Adam([moved, moved_root], lr=_LEARNING_RATE_M)
    with torch.enable_grad():
        for step in range(_STEPS):
            # In the last third of the steps, the step size falls to 0.
            optimizer.param_groups[0]["lr"] = _LEARNING_RATE_M * min(1.0, 3 * (1 - step / _STEPS))
            joints = pose + moved
            placed = joints + (root + moved_root)[:, None]
            mapped_joints = observed.joint_map @ placed
            slopes = mapped_joints[..., :2] / mapped_joints[..., 2:].clamp_min(NEAREST_M)
            distance = _norm(slopes - observed.slopes) / usual_slope
            lengths = _norm(joints[:, children] - joints[:, parents])
            mean = lengths.mean(0)
            loss = (
                (observed.weights * _huber(distance)).sum()
                + 0.5 * (moved @ ahead.mT / scale).square().sum()
                + _huber((lengths - mean) / _BONE_M).sum()
                + _huber((mean - mean[mirror]) / _SIDES_M).sum() * len(pose) / 2
                + smoothness * _huber(_norm(_acceleration(placed, observed.times_s)) / _ACCELERATION).sum()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return (pose + moved).detach(), (root + moved_root).detach()


def with_constant_bones(
    pose: Float[Tensor, "frames joints 3"], layout: JointLayout
) -> Float[Tensor, "frames joints 3"]:
    """The same directions of bones, each with its mean length over the track, equal for left and right."""
    children, parents = (list(ends) for ends in zip(*layout.bones, strict=True))
    bones = pose[:, children] - pose[:, parents]
    mean = _norm(bones).mean(0)
    mean = (mean + mean[[children.index(layout.mirror[child]) for child in children]]) / 2
    bones = functional.normalize(bones, dim=-1) * mean[:, None]
    result = pose.clone()
    for number in sorted(range(len(children)), key=lambda number: _depth(layout, children[number])):
        result[:, children[number]] = result[:, parents[number]] + bones[:, number]
    return result


def _depth(layout: JointLayout, joint: int) -> int:
    """Number of bones between a joint and the root."""
    return 0 if layout.parents[joint] < 0 else 1 + _depth(layout, layout.parents[joint])


def _acceleration(
    joints: Float[Tensor, "frames joints 3"], times_s: Float64[Tensor, " frames"]
) -> Float[Tensor, "inner joints 3"]:
    """Second differences over the times of the frames, m/s²."""
    steps = times_s.diff().clamp_min(1e-3).to(joints.dtype)[:, None, None]
    velocity = joints.diff(dim=0) / steps
    return velocity.diff(dim=0) / ((steps[1:] + steps[:-1]) / 2)


def _huber(values: Tensor) -> Tensor:
    return functional.huber_loss(values, torch.zeros_like(values), reduction="none", delta=_LINEAR)


def _norm(vectors: Float[Tensor, "*points dims"]) -> Float[Tensor, "*points"]:
    """Lengths of vectors; their gradient at zero is zero."""
    return (vectors.square().sum(-1) + 1e-12).sqrt()


def _smoothed(values: Float[Tensor, " frames"]) -> Float[Tensor, " frames"]:
    """The mean over `_DEPTH_FRAMES` around each frame; at the ends, over the frames that exist."""
    ones = torch.ones_like(values)
    total, count = (
        functional.avg_pool1d(each[None, None], _DEPTH_FRAMES, 1, _DEPTH_FRAMES // 2)[0, 0] for each in (values, ones)
    )
    return total / count
