"""Scores of one predicted sequence: against its labels if there are any, and against the keypoints of its view."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from pipelines.pose.cameras import project
from pipelines.pose.losses import bone_ends, bone_length_gap, bone_lengths, reprojection_error
from pipelines.pose.metrics import bone_length_deviation, errors_mm, mpjpe_mm, sequence_metrics
from schemas.layouts import JointLayout, shared_joints

_MM_PER_M = 1000.0


@dataclass(frozen=True)
class View:
    """The 2D view of a sequence by one camera.

    Attributes:
        layout: Joints of the keypoints.
        keypoints: Screen units.
        observed: Frames whose keypoints were detected, not interpolated.
        camera: Intrinsics as `cameras.camera_vector` gives them.
        width: Width of the image, px.
    """

    layout: JointLayout
    keypoints: Float[Tensor, "frames joints_in 2"]
    observed: Bool[Tensor, " frames"]
    camera: Float[Tensor, "10"]
    width: int


@dataclass(frozen=True)
class Score:
    """The scores of a sequence.

    Attributes:
        metrics: By name; metrics that cannot be computed from the inputs are missing.
        per_joint_mm: MPJPE of each joint; empty without labels.
    """

    metrics: dict[str, float]
    per_joint_mm: tuple[float, ...]


def score_sequence(
    layout: JointLayout,
    pose: Float[Tensor, "frames joints 3"],
    trajectory: Float[Tensor, "frames 1 3"] | None = None,
    *,
    positions: Float[Tensor, "frames joints 3"] | None = None,
    view: View | None = None,
) -> Score:
    """Score a prediction.

    Poses are compared root-relative: the root of the labels is moved to 0, that of the prediction is not.

    Args:
        layout: Joints of prediction and labels.
        pose: Predicted joints relative to the root, metres.
        trajectory: Predicted root in camera space, metres.
        positions: Labels in camera space, metres; without them the only pose metric is `bone_length_deviation`.
        view: With a view and a trajectory there is `reprojection_px` too.
    """
    metrics, per_joint_mm = {"bone_length_deviation": bone_length_deviation(pose, layout.bones)}, ()
    if positions is not None:
        root = positions[:, layout.parents.index(-1), None]
        target = positions - root
        metrics = sequence_metrics(pose, target, layout.bones)
        ends = bone_ends(layout.bones, pose.device)
        lengths = (bone_lengths(joints[None], ends)[0] for joints in (pose, target))
        metrics["bone_length_error_mm"] = bone_length_gap(*lengths).item() * _MM_PER_M
        per_joint_mm = tuple(errors_mm(pose, target).mean(0).tolist())
        if trajectory is not None:
            metrics["trajectory_mm"] = mpjpe_mm(trajectory, root)
    if trajectory is not None and view is not None:
        metrics |= _reprojection(layout, pose + trajectory, view)
    return Score(metrics, per_joint_mm)


def _reprojection(layout: JointLayout, points: Float[Tensor, "frames joints 3"], view: View) -> dict[str, float]:
    """Mean distance of projected joints and observed keypoints, px; empty if no joint or frame can be compared."""
    shared = shared_joints(layout, view.layout)
    if not shared or not view.observed.any():
        return {}
    predicted, detected = (list(indices) for indices in zip(*shared, strict=True))
    projected = project(points[:, predicted], view.camera)
    error = reprojection_error(projected[view.observed], view.keypoints[view.observed][:, detected])
    return {"reprojection_px": error.item() * view.width / 2}
