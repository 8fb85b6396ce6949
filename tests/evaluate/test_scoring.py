"""One predicted sequence against its labels and against what the camera saw."""

import pytest
import torch
from train.training_samples import INTRINSICS, person

from pipelines.pose.cameras import camera_vector, to_screen
from pipelines.pose.scoring import View, score_sequence
from schemas.layouts import layout

H36M = layout("h36m17")
ZERO_WHEN_PERFECT = (
    *("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm", "bone_length_error_mm", "trajectory_mm", "reprojection_px"),
)


def truth(frames=40):
    """Root-relative pose, root, positions and the view of a person whose keypoints are exact."""
    track = person("a", frames)
    positions = torch.tensor(track.positions)
    root = positions[:, :1]
    view = View(
        H36M,
        to_screen(torch.tensor(track.keypoints), track.width, track.height),
        torch.ones(frames, dtype=torch.bool),
        camera_vector(INTRINSICS, track.width, track.height),
        track.width,
    )
    return positions - root, root, positions, view


def moved(view, pixels, frames=slice(None)):
    keypoints = view.keypoints.clone()
    keypoints[frames, :, 0] += 2 * pixels / view.width
    return View(view.layout, keypoints, view.observed, view.camera, view.width)


def test_a_perfect_prediction_has_no_error():
    pose, root, positions, view = truth()
    score = score_sequence(H36M, pose, root, positions=positions, view=view)
    assert {name: score.metrics[name] for name in ZERO_WHEN_PERFECT} == pytest.approx(
        dict.fromkeys(ZERO_WHEN_PERFECT, 0), abs=1e-3
    )
    assert score.metrics["pck_150mm"] == 100
    assert score.per_joint_mm == pytest.approx([0] * 17, abs=1e-3)


def test_the_root_counts_as_a_joint_that_is_predicted():
    pose, _, positions, _ = truth()
    pose[:, 0, 1] += 0.017
    score = score_sequence(H36M, pose, positions=positions)
    assert score.metrics["mpjpe_mm"] == pytest.approx(1, abs=1e-4)
    assert score.per_joint_mm == pytest.approx([17] + [0] * 16, abs=1e-3)


def test_lengths_and_trajectories_in_millimetres():
    pose, root, positions, _ = truth()
    score = score_sequence(H36M, pose * 1.1, root + torch.tensor([0.03, 0, 0.04]), positions=positions)
    lengths = [(pose[:, a] - pose[:, b]).norm(dim=1).mean().item() for a, b in H36M.bones]
    assert score.metrics["bone_length_error_mm"] == pytest.approx(100 * sum(lengths) / 16, rel=1e-4)
    assert score.metrics["trajectory_mm"] == pytest.approx(50, abs=1e-3)
    assert "reprojection_px" not in score.metrics


def test_reprojection_is_in_pixels_of_observed_frames():
    pose, root, _, view = truth()
    assert score_sequence(H36M, pose, root, view=moved(view, 3)).metrics["reprojection_px"] == pytest.approx(
        3, abs=1e-3
    )
    moved_in_part = moved(view, 8, slice(30, 40))
    assert score_sequence(H36M, pose, root, view=moved_in_part).metrics["reprojection_px"] == pytest.approx(2, abs=1e-3)
    observed = torch.arange(40) < 30
    unseen = View(view.layout, moved_in_part.keypoints, observed, view.camera, view.width)
    assert score_sequence(H36M, pose, root, view=unseen).metrics["reprojection_px"] == pytest.approx(0, abs=1e-3)
    nothing = View(view.layout, view.keypoints, observed & False, view.camera, view.width)
    assert "reprojection_px" not in score_sequence(H36M, pose, root, view=nothing).metrics


def test_reprojection_compares_joints_that_both_layouts_have():
    pose, root, _, view = truth()
    coco, limbs = layout("coco17"), [joint for joint in layout("coco17").joints if joint in H36M.joints]
    keypoints = torch.full((40, 17, 2), 100.0)
    for joint in limbs:
        keypoints[:, coco.index(joint)] = view.keypoints[:, H36M.index(joint)]
    score = score_sequence(H36M, pose, root, view=View(coco, keypoints, view.observed, view.camera, view.width))
    assert len(limbs) == 12
    assert score.metrics["reprojection_px"] == pytest.approx(0, abs=1e-3)


def test_without_labels_consistency_alone():
    pose, root, _, view = truth()
    assert score_sequence(H36M, pose).metrics.keys() == {"bone_length_deviation"}
    score = score_sequence(H36M, pose, root, view=view)
    assert (score.metrics.keys(), score.per_joint_mm) == ({"bone_length_deviation", "reprojection_px"}, ())
