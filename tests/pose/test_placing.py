import torch

from pipelines.pose.placing import fit_root


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
