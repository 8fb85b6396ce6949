"""Mirror images: what the camera would have seen in a mirror.

x is negated, left and right change places, and the camera is mirrored with them: projecting what is mirrored is
mirroring what is projected. Twice is the identity.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.pose.cameras import CAMERA_FIELDS
from schemas.layouts import JointLayout

_CAMERA_SIGNS = [-1.0 if field in ("cx", "tx") else 1.0 for field in CAMERA_FIELDS]


def mirror_points(points: Float[Tensor, "*points coordinates"]) -> Float[Tensor, "*points coordinates"]:
    """Points that are neither left nor right, such as the root: x negated, the other channels kept."""
    return torch.cat([-points[..., :1], points[..., 1:]], dim=-1)


def mirror_joints(
    joints: Float[Tensor, "*batch joints coordinates"], layout: JointLayout
) -> Float[Tensor, "*batch joints coordinates"]:
    """Keypoints (screen) or positions (camera space, m): x negated, left and right swapped.

    Channels after x, a keypoint's confidence among them, stay with their joint.
    """
    return mirror_points(joints)[..., list(layout.mirror), :]


def mirror_confidence(
    confidence: Float[Tensor, "*batch joints"], layout: JointLayout
) -> Float[Tensor, "*batch joints"]:
    """One number per joint: left and right swapped."""
    return confidence[..., list(layout.mirror)]


def mirror_camera(camera: Float[Tensor, "*batch 10"]) -> Float[Tensor, "*batch 10"]:
    """The camera vector behind the mirror: cx and tx negated."""
    return camera * camera.new_tensor(_CAMERA_SIGNS)
