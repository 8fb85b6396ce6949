import numpy as np
import torch

from pipelines.pose.placing import fit_root, place


def body(frames):
    return torch.randn(frames, 12, 3, generator=torch.Generator().manual_seed(0)) * 0.4


def test_a_person_is_found_where_the_rays_meet():
    pose, root = body(6), torch.tensor([[0.3, -0.2, 2.0 + 0.5 * n] for n in range(6)])
    joints = pose + root[:, None]
    fitted = fit_root(pose, joints[..., :2] / joints[..., 2:], torch.ones(6, 12))
    torch.testing.assert_close(fitted, root, atol=1e-3, rtol=0)


def test_missing_joints_do_not_count_and_missing_frames_take_the_nearest():
    pose, root = body(5), torch.tensor([[0.0, 0.1, 3.0 + n] for n in range(5)])
    joints = pose + root[:, None]
    slopes, weights = joints[..., :2] / joints[..., 2:], torch.ones(5, 12)
    slopes[1, 3], weights[1, 3] = 9.0, 0.0
    weights[3:] = 0
    fitted = fit_root(pose, slopes, weights)
    torch.testing.assert_close(fitted[:3], root[:3], atol=1e-3, rtol=0)
    torch.testing.assert_close(fitted[3:], root[2].expand(2, 3), atol=1e-3, rtol=0)


def test_nobody_is_placed_behind_the_camera():
    fitted = fit_root(body(2), torch.zeros(2, 12, 2), torch.zeros(2, 12))
    assert (fitted[:, 2] > 0).all()


def test_roots_are_the_weighted_least_squares_of_the_rays():
    generator = torch.Generator().manual_seed(1)
    pose, root = body(4).view(2, 2, 12, 3), torch.tensor([0.2, -0.1, 4.0])
    joints = pose + root
    slopes = joints[..., :2] / joints[..., 2:] + 0.02 * torch.randn(2, 2, 12, 2, generator=generator)
    weights = torch.rand(2, 2, 12, generator=generator)
    placed = place(pose, slopes, weights)
    for one in np.ndindex(2, 2):
        x, s, w = (each[one].double().numpy() for each in (pose, slopes, weights))
        rows = np.concatenate([np.stack([np.arange(2) == axis] * 12).astype(float) for axis in (0, 1)])
        rows = np.column_stack([rows, -s.T.ravel()]) * np.sqrt(np.tile(w, 2))[:, None]
        sides = (s * x[:, 2:] - x[:, :2]).T.ravel() * np.sqrt(np.tile(w, 2))
        np.testing.assert_allclose(placed[one].numpy(), np.linalg.lstsq(rows, sides, rcond=None)[0], atol=2e-3)


def test_a_pose_that_is_too_large_is_placed_as_much_farther_away():
    pose, root = body(3), torch.tensor([0.2, -0.1, 4.0])
    joints = pose + root
    placed = place(1.3 * pose, joints[..., :2] / joints[..., 2:], torch.ones(3, 12))
    torch.testing.assert_close(placed, (1.3 * root).expand(3, 3), atol=1e-3, rtol=0)


def test_gradients_pass_and_stay_finite_where_nothing_is_seen():
    pose = body(2).requires_grad_()
    place(pose, torch.zeros(2, 12, 2), torch.zeros(2, 12)).sum().backward()
    assert pose.grad is not None
    assert pose.grad.isfinite().all()
    wide = body(2).requires_grad_()
    slopes = wide.detach()[..., :2] / (wide.detach()[..., 2:] + 4)
    place(wide, slopes, torch.ones(2, 12))[:, 2].sum().backward()
    assert wide.grad is not None
    assert wide.grad.abs().sum() > 0
