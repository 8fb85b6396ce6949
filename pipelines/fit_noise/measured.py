"""Measures the errors of a detector on people whose joints are known."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64

from pipelines.datasets.body_measures import BONES_PER_HEIGHT, Body
from pipelines.pose.joint_map import BEFORE
from pipelines.pose.rays import slopes
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.errors import UserError
from schemas.layouts import joint_indices, layout

LIMBS = layout("limbs12")
# Left and right of arms or legs count as exchanged if exchanging them back multiplies their error by at most this
# share, and if their error before is at least this, as a share of the stature.
_BETTER, _FAR = 0.5, 0.04
_HALVES = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))


@dataclass(frozen=True)
class MeasuredErrors:
    """The errors of a detector at one person over time, at the joints of `LIMBS`.

    Lengths are shares of the person's stature, in the picture.

    Attributes:
        error: From the true joint to where it was detected; NaN where it was not, or with left and right exchanged.
        outwards: From the same joint of the other side to the joint.
        along: From the joint to the one before it in its limb (`pipelines.pose.joint_map.BEFORE`).
        visible: Whether a joint was detected.
        exchanged: Whether left and right of the arms, and of the legs, were exchanged.
        fps: Frames per second.
    """

    error: Float64[np.ndarray, "frames 12 2"]
    outwards: Float64[np.ndarray, "frames 12 2"]
    along: Float64[np.ndarray, "frames 12 2"]
    visible: Bool[np.ndarray, "frames 12"]
    exchanged: Bool[np.ndarray, "frames 2"]
    fps: float

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.error)


def measure(track: KeypointTrack) -> MeasuredErrors:
    """The errors in a track of detected keypoints that is labeled with the true joints.

    Raises:
        UserError: The track is not labeled, has no camera, or has a layout without the joints of the limbs.
    """
    if track.positions is None or track.positions_layout is None or track.intrinsics is None:
        raise UserError(
            f"track {track.track_id[:8]} of {track.video}: has no positions or no camera, so that nobody knows where "
            "the joints are; give labeled tracks with detected keypoints (import_poses source=synthetic or human36m)"
        )
    detected_layout, body_layout = layout(track.layout), layout(track.positions_layout)
    for name, joints in ((track.layout, detected_layout), (track.positions_layout, body_layout)):
        if missing := [joint for joint in LIMBS.joints if joint not in joints.joints]:
            raise UserError(f"track {track.track_id[:8]} of {track.video}: its layout {name} lacks {missing[0]}")
    limb_columns = list(joint_indices(detected_layout, LIMBS))
    rays = slopes(torch.tensor(track.keypoints[:, limb_columns]), track.width, track.height, track.intrinsics).numpy()
    joints = track.positions.astype(np.float64)
    limbs = joints[:, list(joint_indices(body_layout, LIMBS))]
    stature_m = Body(joints, body_layout).stature() / BONES_PER_HEIGHT
    scale = (limbs[..., 2].mean(1) / stature_m)[:, None, None]
    true = limbs[..., :2] / limbs[..., 2:]
    error = (rays - true) * scale
    visible = (track.scores[:, limb_columns] > 0) & ~track.interpolated[:, None]
    exchanged = _exchanged(rays * scale, true * scale, visible)
    error[~visible | exchanged[:, _half_of_joints()]] = np.nan
    before = [LIMBS.index(_before(joint)) for joint in LIMBS.joints]
    return MeasuredErrors(
        error=error,
        outwards=_in_picture(limbs - limbs[:, list(LIMBS.mirror)], limbs, stature_m),
        along=_in_picture(limbs[:, before] - limbs, limbs, stature_m),
        visible=visible,
        exchanged=exchanged,
        fps=track.fps,
    )


def part_of(joint: str) -> str:
    """A joint without its side."""
    return joint.partition("_")[2]


def columns_of(part: str) -> list[int]:
    """The columns of a joint of both sides in `LIMBS`."""
    return [column for column, joint in enumerate(LIMBS.joints) if part_of(joint) == part]


def _before(joint: str) -> str:
    side, _, part = joint.partition("_")
    return f"{side}_{BEFORE[part]}"


def _half_of_joints() -> list[int]:
    """For each joint, 0 if it is one of the arms and 1 if one of the legs."""
    return [next(half for half, parts in enumerate(_HALVES) if part_of(joint) in parts) for joint in LIMBS.joints]


def _in_picture(
    steps: Float64[np.ndarray, "frames 12 3"], at: Float64[np.ndarray, "frames 12 3"], stature_m: float
) -> Float64[np.ndarray, "frames 12 2"]:
    """Small steps from joints, as the camera sees them, in shares of the stature."""
    return (steps[..., :2] - at[..., :2] / at[..., 2:] * steps[..., 2:]) / stature_m


def _exchanged(
    detected: Float64[np.ndarray, "frames 12 2"],
    true: Float64[np.ndarray, "frames 12 2"],
    visible: Bool[np.ndarray, "frames 12"],
) -> Bool[np.ndarray, "frames 2"]:
    """Whether arms and legs were detected with left for right."""
    halves = np.array(_half_of_joints())
    result = np.zeros((len(detected), 2), bool)
    for half in range(2):
        chosen = halves == half
        all_visible = visible[:, chosen].all(1)
        distance, other_way = (
            np.linalg.norm(detected[:, chosen] - goal[:, chosen], axis=-1).mean(1)
            for goal in (true, true[:, list(LIMBS.mirror)])
        )
        result[:, half] = all_visible & (distance > _FAR) & (other_way < _BETTER * distance)
    return result
