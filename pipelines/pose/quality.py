"""How far each frame of a lifted track can be trusted, without labels: does it look like what was seen, do bones hold.

All frames have a number, those in which the person was not observed too: theirs compare with keypoints that were
interpolated, and say little.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.pose.cameras import project

# Layouts that share fewer joints cannot be compared: scale and shift alone bring two points onto any two.
LEAST_SHARED_JOINTS = 3
# Square metres, metres: below every visible body, above the rounding of float32.
_TINY = 1e-6


def reprojection_perspective(
    positions: Float[Tensor, "frames joints 3"],
    keypoints: Float[Tensor, "frames joints 2"],
    camera: Float[Tensor, "10"],
) -> Float[Tensor, " frames"]:
    """Mean distance of joints seen by a camera and the keypoints they should meet, in each frame, screen units.

    Args:
        positions: Camera space, metres.
        keypoints: The same joints, screen.
        camera: Intrinsics as `cameras.camera_vector` gives them.
    """
    return torch.linalg.vector_norm(project(positions, camera) - keypoints, dim=-1).mean(-1)


def reprojection_orthographic(
    positions: Float[Tensor, "frames joints 3"], keypoints: Float[Tensor, "frames joints 2"]
) -> Float[Tensor, " frames"]:
    """The same where the camera or the way is not known: x and y, scaled and shifted to fit best, frame by frame.

    Weak perspective: scale and shift of each frame are those of the least squared distance. The scale is never
    negative: a pose that stands on its head does not fit by being turned over.

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
