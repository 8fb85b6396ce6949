"""Poses in the picture without the place, the size and the camera's crop: relative to the trunk, in its size.

The trunk is the quadrangle of shoulders and hips. Detectors see it best, and a crop that cuts it leaves no usable
pose. The joints are the limbs, which every detector and every motion capture has.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Float32

from pipelines.tracks.joint_scores import UNSEEN
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.layouts import joint_indices, layout

LIMBS = layout("limbs12")
TRUNK = [LIMBS.index(f"{side}_{joint}") for joint in ("shoulder", "hip") for side in ("left", "right")]
# A pose needs a trunk of at least this size, px; keypoints in one spot have no pose.
_SMALLEST_PX = 1.0


def limbs(track: KeypointTrack) -> KeypointTrack:
    """The track without its other joints, and without positions.

    Raises:
        UserError: Its layout lacks a joint of the limbs.
    """
    order = list(joint_indices(layout(track.layout), LIMBS))
    return replace(
        track,
        layout=LIMBS.name,
        keypoints=track.keypoints[:, order],
        scores=track.scores[:, order],
        positions=None,
        positions_layout=None,
    )


def visible_joints(track: KeypointTrack) -> Bool[np.ndarray, "frames joints"]:
    """Whether each joint was seen."""
    visible = (track.scores >= UNSEEN) & np.isfinite(track.keypoints).all(axis=-1)
    return visible & ~track.interpolated[:, None]


def normalised_poses(track: KeypointTrack) -> Float32[np.ndarray, "frames joints 2"]:
    """The limbs relative to the middle of the trunk, in trunk sizes; NaN where a joint was not seen.

    The size of a trunk is twice the root mean square distance of shoulders and hips from their middle.

    Args:
        track: Of limbs.
    """
    points = np.where(visible_joints(track)[..., None], track.keypoints, np.nan)
    trunk = points[:, TRUNK]
    middle = trunk.mean(axis=1, keepdims=True)
    size = 2 * np.sqrt(((trunk - middle) ** 2).sum(axis=-1).mean(axis=1))
    return ((points - middle) / np.where(size > _SMALLEST_PX, size, np.nan)[:, None, None]).astype(np.float32)


def mirrored(poses: Float[np.ndarray, "*poses joints dims"]) -> Float[np.ndarray, "*poses joints dims"]:
    """The mirror images of poses: x is negated, left and right are exchanged."""
    signs = np.ones(poses.shape[-1], poses.dtype)
    signs[0] = -1
    return poses[..., list(LIMBS.mirror), :] * signs
