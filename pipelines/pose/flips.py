"""Mirror images of keypoints, positions and cameras, for augmentation and test-time flips.

x is negated and left and right joints change places. With the camera mirrored too, projecting mirrored positions gives
the mirrored keypoints. Mirroring twice is the identity.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.pose.cameras import CAMERA_FIELDS
from schemas.layouts import JointLayout

_CAMERA_SIGNS = [-1.0 if field in ("cx", "tx") else 1.0 for field in CAMERA_FIELDS]


def mirror_points(points: Float[Tensor, "*points coordinates"]) -> Float[Tensor, "*points coordinates"]:
    """Points without a left or right side, such as the root: x is negated, the other channels are kept."""
    return torch.cat([-points[..., :1], points[..., 1:]], dim=-1)


def mirror_joints(
    joints: Float[Tensor, "*batch joints coordinates"], layout: JointLayout
) -> Float[Tensor, "*batch joints coordinates"]:
    """Keypoints (screen) or positions (camera space, m): x is negated, left and right joints are swapped.

    The channels after x, such as a keypoint's confidence, move with their joint.
    """
    return mirror_points(joints)[..., list(layout.mirror), :]


def mirror_confidence(
    confidence: Float[Tensor, "*batch joints"], layout: JointLayout
) -> Float[Tensor, "*batch joints"]:
    """One number per joint: the values of left and right joints are swapped."""
    return confidence[..., list(layout.mirror)]


def mirror_camera(camera: Float[Tensor, "*batch 10"]) -> Float[Tensor, "*batch 10"]:
    """The camera that sees mirrored positions as mirrored keypoints: cx and tx are negated."""
    return camera * camera.new_tensor(_CAMERA_SIGNS)
