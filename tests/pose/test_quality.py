import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.pose.cameras import project
from pipelines.pose.quality import bone_length_deviations, reprojection_orthographic, reprojection_perspective
from schemas.layouts import LAYOUTS

BONES = LAYOUTS["h36m17"].bones
CAMERA = torch.tensor([2.3, 2.3, 0.02, 0.03, -0.2, 0.24, 0.0, 0.001, -0.001, 1.0])


@pytest.fixture
def poses() -> torch.Tensor:
    return torch.randn(7, 17, 3, generator=torch.Generator().manual_seed(0)) * 0.3


def test_what_the_camera_sees_of_the_pose_has_no_error(poses):
    placed = poses + torch.tensor([0.1, 0.2, 4.0])
    keypoints = project(placed, CAMERA)
    assert reprojection_perspective(placed, keypoints, CAMERA).abs().max() == 0
    moved = keypoints + torch.tensor([0.03, 0.04])
    assert reprojection_perspective(placed, moved, CAMERA).numpy() == pytest.approx(np.full(7, 0.05), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 20), st.floats(-3, 3))
def test_without_a_camera_scale_place_and_depth_make_no_difference(seed, scale, shift):
    random = torch.Generator().manual_seed(seed)
    poses = torch.randn(3, 17, 3, generator=random)
    keypoints = scale * poses[..., :2] + torch.tensor([shift, -shift])
    assert reprojection_orthographic(poses, keypoints).max() < 1e-5 * (1 + scale + abs(shift))
    turned = poses * torch.tensor([1.0, 1.0, -7.0]) + torch.tensor([3.0, 4.0, 5.0])
    assert reprojection_orthographic(turned, keypoints).max() < 1e-4 * (1 + scale + abs(shift))


def test_scale_and_shift_are_those_of_least_squares(poses):
    keypoints = torch.randn(7, 17, 2, generator=torch.Generator().manual_seed(1)) + 2 * poses[..., :2]
    expected = []
    for shape, target in zip(poses.double().numpy(), keypoints.double().numpy(), strict=True):
        x, y = shape[:, 0], shape[:, 1]
        ones, none = np.ones(17), np.zeros(17)
        equations = np.concatenate([np.stack([x, ones, none], 1), np.stack([y, none, ones], 1)])
        (scale, *offset), *_ = np.linalg.lstsq(equations, target.T.ravel(), rcond=None)
        expected.append(np.linalg.norm(scale * shape[:, :2] + offset - target, axis=1).mean())
    assert reprojection_orthographic(poses, keypoints).numpy() == pytest.approx(np.array(expected), rel=1e-5)


def test_a_pose_upside_down_does_not_fit(poses):
    keypoints = -poses[..., :2]
    size = torch.linalg.vector_norm(keypoints - keypoints.mean(1, keepdim=True), dim=-1).mean(1)
    assert torch.allclose(reprojection_orthographic(poses, keypoints), size)


def test_a_pose_without_extent_has_finite_quality():
    assert reprojection_orthographic(torch.zeros(1, 17, 3), torch.rand(1, 17, 2)).isfinite().all()
    assert bone_length_deviations(torch.zeros(2, 17, 3), BONES).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("frames", [1, 2, 7, 8])
def test_bone_length_deviation_is_relative_to_the_median_length(frames):
    poses = torch.randn(frames, 17, 3, generator=torch.Generator().manual_seed(frames))
    child, parent = np.array(BONES).T
    lengths = np.linalg.norm(poses.numpy()[:, child] - poses.numpy()[:, parent], axis=-1)
    expected = abs(lengths / np.median(lengths, axis=0) - 1).mean(1)
    assert bone_length_deviations(poses, BONES).numpy() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_stiff_body_that_moves_has_no_deviation(poses):
    turn = torch.linalg.qr(torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(2))).Q
    stiff = poses[:1] @ turn
    assert bone_length_deviations(stiff, BONES).max() < 1e-5
    stiff[3] *= 1.2
    assert bone_length_deviations(stiff, BONES)[3].item() == pytest.approx(0.2, abs=1e-5)
