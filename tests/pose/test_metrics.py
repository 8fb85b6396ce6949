import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pipelines.pose.cameras import rotate
from pipelines.pose.metrics import (
    align_similarity,
    auc,
    bone_length_deviation,
    errors_mm,
    mpjpe_mm,
    mpjve_mm,
    n_mpjpe_mm,
    p_mpjpe_mm,
    pck,
    sequence_metrics,
)
from schemas.layouts import LAYOUTS

BONES = LAYOUTS["h36m17"].bones


@pytest.fixture
def poses() -> torch.Tensor:
    return torch.randn(6, 17, 3, generator=torch.Generator().manual_seed(0)) * 0.3


@pytest.mark.parametrize(
    ("metric", "metres"),
    [
        (mpjpe_mm, 0.07551501010484353),
        (p_mpjpe_mm, 0.06948532096577857),
        (n_mpjpe_mm, 0.07513351188638252),
        (mpjve_mm, 0.10522791560988388),
    ],
)
def test_metrics_are_the_references(golden_poses, metric, metres):
    assert metric(*golden_poses) == pytest.approx(metres * 1000, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_any_similarity_is_undone(seed, scale):
    random = torch.Generator().manual_seed(seed)
    target = torch.randn(3, 17, 3, generator=random, dtype=torch.float64)
    q = torch.nn.functional.normalize(torch.randn(3, 1, 4, generator=random, dtype=torch.float64), dim=-1)
    moved = scale * rotate(q, target) + torch.randn(3, 1, 3, generator=random, dtype=torch.float64)
    assert p_mpjpe_mm(moved, target) == pytest.approx(0, abs=1e-6)


def test_a_mirror_image_is_no_similarity(poses):
    assert p_mpjpe_mm(poses * torch.tensor([-1, 1, 1]), poses) > 50


def test_similarity_is_the_least_squares(golden_poses):
    pred, target = golden_poses
    best = align_similarity(pred, target)
    turn = torch.nn.functional.normalize(torch.tensor([1, 0.002, -0.001, 0.003], dtype=torch.float64), dim=0)
    middle = best.mean(1, keepdim=True)
    for other in (best + 0.002, middle + (best - middle) * 1.002, middle + rotate(turn, best - middle)):
        assert (errors_mm(best, target).square().sum(1) < errors_mm(other, target).square().sum(1)).all()


@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_n_mpjpe_does_not_see_scale(golden_poses, scale):
    pred, target = golden_poses
    assert n_mpjpe_mm(scale * pred, target) == pytest.approx(n_mpjpe_mm(pred, target))
    assert n_mpjpe_mm(scale * target, target) == pytest.approx(0, abs=1e-6)


def test_degenerate_poses_have_finite_errors(poses):
    point, line = torch.zeros_like(poses), poses[:, :, :1] * torch.tensor([1.0, 2.0, 3.0])
    for pred in (point, line, poses):
        for target in (point, line, poses):
            values = sequence_metrics(pred, target, BONES).values()
            assert torch.tensor(list(values)).isfinite().all()
    assert p_mpjpe_mm(point, poses) == pytest.approx(mpjpe_mm(poses.mean(1, keepdim=True).expand(6, 17, 3), poses))
    assert p_mpjpe_mm(line * 2, line) == pytest.approx(0, abs=1e-3)


def test_velocity_error_is_per_frame_and_blind_to_place():
    target = torch.zeros(5, 17, 3)
    pred = target + torch.arange(5)[:, None, None] * torch.tensor([0.003, 0.004, 0]) + 1
    assert mpjve_mm(pred, target) == pytest.approx(5, abs=1e-3)


def test_pck_and_auc_are_those_of_mpi_inf_3dhp():
    errors = torch.tensor([[0.0, 149.0, 150.0, 151.0]], dtype=torch.float64)
    assert pck(errors) == 50
    # 0 mm is below 30 of the 31 thresholds, 149 mm below one, the others below none.
    assert auc(errors) == pytest.approx(100 * (30 + 1) / (4 * 31))


def test_errors_per_joint():
    target = torch.zeros(2, 3, 3)
    pred = target.clone()
    pred[0, 1, 0], pred[1, 1, 1], pred[:, 2, 2] = 0.01, 0.03, 0.005
    torch.testing.assert_close(errors_mm(pred, target).mean(0), torch.tensor([0, 20, 5]).double(), atol=1e-5, rtol=0)


def test_bone_length_deviation():
    positions = torch.zeros(4, 3, 3)
    positions[:, 1, 0] = 0.5
    positions[:, 2, 1] = torch.tensor([0.9, 1.1, 0.9, 1.1])
    assert bone_length_deviation(positions, ((1, 0), (2, 0))) == pytest.approx((0 + 0.1) / 2)


def test_a_single_frame_has_no_velocity(poses):
    assert set(sequence_metrics(poses, poses, BONES)) - set(sequence_metrics(poses[:1], poses[:1], BONES)) == {
        "mpjve_mm"
    }


def test_thresholds_of_auc_are_5_mm_apart():
    errors = torch.tensor([[7.0, 12.0]], dtype=torch.float64)
    # 7 mm is below the thresholds 10, 15 … 150; 12 mm below 15, 20 … 150.
    assert auc(errors) == pytest.approx(100 * (29 + 28) / (2 * 31))


def test_a_mirrored_pose_is_rotated_and_scaled_but_not_reflected(poses):
    mirrored = poses * torch.tensor([-1.0, 1.0, 1.0])
    aligned = align_similarity(mirrored, poses)
    for frame in range(len(poses)):
        pred = (mirrored[frame] - mirrored[frame].mean(0)).double().numpy()
        true = (poses[frame] - poses[frame].mean(0)).double().numpy()
        # Independent: scipy's best rotation, then the scale of least squares.
        rotated = Rotation.align_vectors(true, pred)[0].apply(pred)
        expected = rotated * (rotated * true).sum() / (rotated * rotated).sum()
        centre = poses[frame].mean(0).double().numpy()
        assert aligned[frame].numpy() == pytest.approx(expected + centre, abs=1e-6)


def test_names_of_the_metrics(poses):
    names = {"mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "pck_150mm", "auc_150mm", "bone_length_deviation", "mpjve_mm"}
    assert set(sequence_metrics(poses[:2], poses[:2], BONES)) == names
