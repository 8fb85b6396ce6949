"""Quality of each frame of a lifted track without labels: reprojection error and deviation of bone lengths.

Frames in which the person was not observed have values too, but these compare with interpolated keypoints and say
little about the pose.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.pose.cameras import project

# Layouts that share fewer joints than this cannot be compared: scale and shift alone map any two points onto any other
# two.
LEAST_SHARED_JOINTS = 3
# In m² and m, this is below the size of any visible body and above float32 rounding.
_TINY = 1e-6


def reprojection_perspective(
    positions: Float[Tensor, "frames joints 3"],
    keypoints: Float[Tensor, "frames joints 2"],
    camera: Float[Tensor, "10"],
) -> Float[Tensor, " frames"]:
    """Mean distance of the projected joints to their keypoints in each frame, screen units.

    Args:
        positions: Camera space, metres.
        keypoints: The same joints, screen.
        camera: Intrinsics as `cameras.camera_vector` gives them.
    """
    return torch.linalg.vector_norm(project(positions, camera) - keypoints, dim=-1).mean(-1)


def reprojection_orthographic(
    positions: Float[Tensor, "frames joints 3"], keypoints: Float[Tensor, "frames joints 2"]
) -> Float[Tensor, " frames"]:
    """Mean distance in each frame, screen units, where the camera or the trajectory is unknown (weak perspective).

    x and y of each frame are scaled and shifted to the least squared distance from the keypoints. The scale is never
    negative, so that an upside-down pose cannot fit by being turned over.

    Args:
        positions: Camera axes, metres; relative to anything.
        keypoints: The same joints, screen.
    """
    shape = positions[..., :2] - positions[..., :2].mean(-2, keepdim=True)
    target = keypoints - keypoints.mean(-2, keepdim=True)
    energy = shape.square().sum((-2, -1), keepdim=True).clamp_min(_TINY)
    scale = ((shape * target).sum((-2, -1), keepdim=True) / energy).clamp_min(0)
    return torch.linalg.vector_norm(scale * shape - target, dim=-1).mean(-1)


def bone_length_deviations(
    positions: Float[Tensor, "frames joints 3"], bones: Sequence[tuple[int, int]]
) -> Float[Tensor, " frames"]:
    """Mean over bones of |length / median length over the track - 1|, in each frame.

    Args:
        positions: Metres; relative to anything.
        bones: (child, parent), as in `JointLayout.bones`.
    """
    child, parent = (list(ends) for ends in zip(*bones, strict=True))
    lengths = torch.linalg.vector_norm(positions[:, child] - positions[:, parent], dim=-1)
    ordered = lengths.sort(dim=0).values
    median = (ordered[(len(lengths) - 1) // 2] + ordered[len(lengths) // 2]) / 2
    return (lengths / median.clamp_min(_TINY) - 1).abs().mean(-1)
