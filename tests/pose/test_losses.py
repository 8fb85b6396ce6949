import pytest
import torch

from pipelines.pose.losses import (
    bone_ends,
    bone_length_gap,
    bone_lengths,
    depth_weighted_mpjpe,
    mpjpe,
    mpjve,
    n_mpjpe,
    reprojection_error,
    weighted_mpjpe,
)
from pipelines.pose.metrics import mpjve_mm, n_mpjpe_mm
from schemas.layouts import LAYOUTS

BONES = LAYOUTS["h36m17"].bones


def test_mpjpe_is_the_references(golden_poses):
    assert mpjpe(*golden_poses).item() == pytest.approx(0.07551501010484353, abs=1e-7)


def test_weighted_mpjpe_is_the_references(golden_poses):
    weights = torch.tensor([0.25, 0.2, 0.1, 0.5], dtype=torch.float64)[:, None]
    pred, target = golden_poses
    assert weighted_mpjpe(pred, target, weights).item() == pytest.approx(0.019484948132532997, abs=1e-7)


def test_depth_weight_is_one_over_the_targets_depth():
    target = torch.tensor([[[0.0, 0.0, 4.0]], [[1.0, 0.0, 2.0]]])
    pred = target + torch.tensor([0.0, 0.3, 0.4])
    assert depth_weighted_mpjpe(pred, target).item() == pytest.approx((0.5 / 4 + 0.5 / 2) / 2)


def test_reprojection_without_confidence_is_mpjpe_in_the_plane(golden_poses):
    pred, target = (poses[..., :2] for poses in golden_poses)
    torch.testing.assert_close(reprojection_error(pred, target), mpjpe(pred, target))
    torch.testing.assert_close(reprojection_error(pred, target, torch.full((4, 17), 0.3)), mpjpe(pred, target))


def test_reprojection_is_weighted_by_confidence():
    projected, keypoints = torch.zeros(1, 2, 2), torch.tensor([[[3.0, 4.0], [0.0, 1.0]]])
    assert reprojection_error(projected, keypoints, torch.tensor([[0.25, 0.75]])).item() == pytest.approx(2.0)


@pytest.mark.parametrize("per_sample", [False, True])
def test_reprojection_of_nothing_seen_is_zero(per_sample):
    projected = torch.ones(2, 3, 2, requires_grad=True)
    error = reprojection_error(projected, torch.zeros(2, 3, 2), torch.zeros(2, 3), per_sample=per_sample)
    error.sum().backward()
    assert (error == 0).all()
    assert projected.grad is not None
    assert (projected.grad == 0).all()


def test_samples_sum_up_to_the_batch(golden_poses):
    pred, target = golden_poses
    weights = torch.rand(4, 17, dtype=torch.float64)
    assert mpjpe(pred, target, per_sample=True).shape == (4,)
    torch.testing.assert_close(mpjpe(pred, target, per_sample=True).mean(), mpjpe(pred, target))
    by_sample = weighted_mpjpe(pred, target, weights, per_sample=True)
    torch.testing.assert_close(by_sample.mean(), weighted_mpjpe(pred, target, weights))
    roots, true_roots = pred[:, 0] + 5, target[:, 0] + 5
    by_sample = depth_weighted_mpjpe(roots, true_roots, per_sample=True)
    torch.testing.assert_close(by_sample.mean(), depth_weighted_mpjpe(roots, true_roots))


def test_samples_weighted_by_their_confidence_sum_up_to_the_batch(golden_poses):
    pred, target = (poses[..., :2] for poses in golden_poses)
    confidence = torch.rand(4, 17, dtype=torch.float64)
    by_sample, weight = reprojection_error(pred, target, confidence, per_sample=True), confidence.sum(1)
    whole = (by_sample * weight).sum() / weight.sum()
    torch.testing.assert_close(whole, reprojection_error(pred, target, confidence))


def test_a_perfect_prediction_has_a_gradient_of_zero():
    pred = torch.zeros(2, 3, 17, 3, requires_grad=True)
    mpjpe(pred, torch.zeros(2, 3, 17, 3)).backward()
    assert pred.grad is not None
    assert (pred.grad == 0).all()


def test_bone_lengths_are_means_over_the_frames_of_each_sample():
    positions = torch.zeros(2, 2, 3, 3)
    positions[0, :, 1] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    positions[0, :, 2] = torch.tensor([0.0, 4.0, 0.0])
    lengths = bone_lengths(positions, bone_ends(((1, 0), (2, 0)), positions.device))
    torch.testing.assert_close(lengths, torch.tensor([[2.0, 4.0], [0.0, 0.0]]))


def test_bone_gap_compares_batch_means_and_teaches_both_sides():
    labeled, unlabeled = (torch.randn(n, 1, 17, 3, requires_grad=True) for n in (6, 4))
    first, second = (bone_lengths(poses, bone_ends(BONES, poses.device)).mean(0) for poses in (labeled, unlabeled))
    gap = bone_length_gap(first, second)
    assert gap.item() == pytest.approx(
        sum(abs(a - b) for a, b in zip(first.tolist(), second.tolist(), strict=True)) / 16
    )
    gap.backward()
    assert labeled.grad is not None
    assert unlabeled.grad is not None
    assert labeled.grad.abs().sum() > 0
    assert unlabeled.grad.abs().sum() > 0


def test_scale_free_error_is_the_metrics():
    torch.manual_seed(0)
    target = torch.randn(3, 5, 17, 3)
    pred = 1.7 * target + 0.1 * torch.randn(3, 5, 17, 3)
    expected = [n_mpjpe_mm(one, true) / 1000 for one, true in zip(pred, target, strict=True)]
    assert n_mpjpe(pred, target, per_sample=True).tolist() == pytest.approx(expected, rel=1e-5)
    assert n_mpjpe(3 * target, target).item() == pytest.approx(0, abs=1e-5)
    assert n_mpjpe(torch.zeros_like(target), target).isfinite()


def test_velocity_error_is_the_metrics():
    torch.manual_seed(0)
    pred, target = torch.randn(2, 3, 5, 17, 3)
    expected = [mpjve_mm(one, true) / 1000 for one, true in zip(pred, target, strict=True)]
    assert mpjve(pred, target, per_sample=True).tolist() == pytest.approx(expected, rel=1e-5)
    assert mpjve(target + 5, target).item() == pytest.approx(0, abs=1e-5)
