from dataclasses import replace

import pytest
import torch

from pipelines.pose import refinement
from pipelines.pose.refinement import Observed, refine, with_constant_bones
from schemas.layouts import joint_indices, layout

H36M, LIMBS = layout("h36m17"), layout("limbs12")
JOINTS = list(joint_indices(H36M, LIMBS))
AS_THEY_ARE = torch.eye(17)[JOINTS]


def walker(frames=40):
    """A person of constant bones who swings the limbs, and walks away from the camera."""
    generator = torch.Generator().manual_seed(1)
    rest = torch.randn(17, 3, generator=generator) * 0.2
    rest = rest + torch.tensor([0.0, 0.3, 0.0]) * torch.tensor([[h % 4] for h in range(17)])
    swing = 0.2 * torch.sin(torch.arange(frames) / 6)[:, None, None] * torch.randn(17, 3, generator=generator)
    pose = with_constant_bones(rest - rest[0] + swing - swing[:, :1], H36M)
    root = torch.stack([torch.zeros(frames), torch.zeros(frames), 3 + torch.arange(frames) / 30], 1)
    return pose, root


def observed(pose, root, error=0.0):
    joints = (pose + root[:, None])[:, JOINTS]
    slopes = joints[..., :2] / joints[..., 2:]
    slopes = slopes + error * torch.randn(slopes.shape, generator=torch.Generator().manual_seed(2))
    return Observed(
        slopes, torch.ones(slopes.shape[:2]), AS_THEY_ARE, torch.arange(len(pose), dtype=torch.float64) / 30
    )


def mean_error(first, second):
    return (first - second).norm(dim=-1).mean().item()


def test_a_poor_prediction_becomes_better_and_the_person_is_found():
    pose, root = walker()
    slow = torch.randn(1, 17, 3, generator=torch.Generator().manual_seed(3)) * 0.04
    wrong = pose + slow + 0.02 * torch.randn(pose.shape, generator=torch.Generator().manual_seed(4))
    wrong = wrong - wrong[:, :1]
    refined, refined_root = refine(wrong, H36M, observed(pose, root, error=0.003))
    assert mean_error(refined[:, JOINTS], pose[:, JOINTS]) < 0.8 * mean_error(wrong[:, JOINTS], pose[:, JOINTS])
    assert refined_root[-1, 2] - refined_root[0, 2] == pytest.approx(39 / 30, rel=0.15), "who walks away, walks away"


def test_joints_that_a_detector_sees_elsewhere_are_where_the_body_has_them():
    pose, root = walker()
    elsewhere = AS_THEY_ARE.clone()
    hip, knee = H36M.index("left_hip"), H36M.index("left_knee")
    elsewhere[LIMBS.index("left_hip"), [hip, knee]] = torch.tensor([0.7, 0.3])
    joints = elsewhere @ (pose + root[:, None])
    slopes = joints[..., :2] / joints[..., 2:]
    observation = Observed(
        slopes, torch.ones(slopes.shape[:2]), elsewhere, torch.arange(len(pose), dtype=torch.float64) / 30
    )
    refined, _ = refine(pose, H36M, observation)
    mistaken, _ = refine(pose, H36M, replace(observation, joint_map=AS_THEY_ARE))
    assert mean_error(refined[:, hip], pose[:, hip]) < 0.5 * mean_error(mistaken[:, hip], pose[:, hip])


def test_bones_are_constant_and_sides_alike():
    pose, root = walker()
    noisy = pose + 0.03 * torch.randn(pose.shape, generator=torch.Generator().manual_seed(4))
    refined, _ = refine(noisy - noisy[:, :1], H36M, observed(pose, root))
    children, parents = (list(ends) for ends in zip(*H36M.bones, strict=True))
    lengths = (refined[:, children] - refined[:, parents]).norm(dim=-1)
    assert (lengths.std(0) / lengths.mean(0)).max() < 1e-4
    mirrored = [children.index(H36M.mirror[child]) for child in children]
    torch.testing.assert_close(lengths, lengths[:, mirrored], atol=1e-4, rtol=0)
    assert refined[:, 0].abs().max() < 1e-6, "the root is the origin"


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_tracks_are_refined_too(frames):
    pose, root = walker(frames)
    refined, refined_root = refine(pose, H36M, observed(pose, root))
    assert refined.isfinite().all()
    assert refined_root.isfinite().all()


def test_nothing_seen_leaves_the_pose():
    pose, _ = walker(5)
    nothing = Observed(
        torch.zeros(5, 12, 2), torch.zeros(5, 12), AS_THEY_ARE, torch.arange(5, dtype=torch.float64) / 30
    )
    refined, _ = refine(pose, H36M, nothing)
    assert mean_error(refined, pose) < 0.03


def test_long_tracks_are_refined_in_pieces_without_seams(monkeypatch):
    pose, root = walker(60)
    noisy = pose + 0.03 * torch.randn(pose.shape, generator=torch.Generator().manual_seed(4))
    observation = observed(pose, root, error=0.003)
    whole, whole_root = refine(noisy, H36M, observation)
    monkeypatch.setattr(refinement, "_PIECE", 20)
    monkeypatch.setattr(refinement, "_CONTEXT", 12)
    pieces, pieces_root = refine(noisy, H36M, observation)
    assert len(pieces) == 60
    assert mean_error(pieces, whole) < 0.01
    in_pieces, at_once = (
        (joints + place[:, None]).diff(dim=0).norm(dim=-1).mean(1)
        for joints, place in ((pieces, pieces_root), (whole, whole_root))
    )
    assert in_pieces[[19, 39]].max() < 1.2 * at_once.max(), "no jump where pieces meet"


def test_less_smoothness_keeps_more_of_a_landing_and_more_of_the_noise():
    """A body that falls and stops within one frame, and the same standing still, with noisy keypoints."""
    pose, root = walker()
    pose, root = pose[:1].expand_as(pose), root[:1].expand_as(root)
    fallen = root.clone()
    fallen[:20, 1] += -0.04 * torch.arange(19, -1, -1)  # 1.2 m/s until frame 20

    def peak(path, smoothness, error):
        _, placed = refine(pose, H36M, observed(pose, path, error), smoothness)
        return placed[:, 1].diff().diff().abs()

    landings = [peak(fallen, smoothness, 0.0)[15:23].max().item() for smoothness in (0.0, 1.0, 100.0)]
    assert landings[0] > landings[1] > landings[2]
    assert landings[0] == pytest.approx(0.04, rel=0.1), "nothing is smoothed"
    noises = [peak(root, smoothness, 0.003).mean().item() for smoothness in (0.0, 1.0, 100.0)]
    assert noises[0] > noises[1] > noises[2]
