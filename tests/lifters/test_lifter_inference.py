import pytest
import torch

from pipelines.lifters import inference
from pipelines.lifters.inference import lift, mirrored
from pipelines.lifters.model import build_model, root_of
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

COCO, H36M = LAYOUTS["coco17"], LAYOUTS["h36m17"]
ROOT = root_of(H36M)


@pytest.fixture
def build(randomised):
    def make(trajectory=True, **options):
        torch.manual_seed(0)
        values = {"name": "temporal_conv", "filter_widths": [3, 3], "channels": 16, **options}
        return randomised(build_model(PluginConfig.model_validate(values), COCO, H36M, trajectory)).eval()

    return make


def by_frame(model, track):
    """Each frame predicted from its own window of nine frames, with the end frames repeated beyond the ends."""
    before, after = (8, 0) if model.pose.window.offset == 8 else (4, 4)
    padded = torch.cat([track[:1].expand(before, -1, -1), track, track[-1:].expand(after, -1, -1)])
    with torch.no_grad():
        predictions = [model(padded[None, i : i + 9]) for i in range(len(track))]
    return torch.cat([pose[0] for pose, _ in predictions]), torch.cat([trajectory[0] for _, trajectory in predictions])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("chunk_frames", [5, 32, 4096])
@pytest.mark.parametrize("folded", [False, True])
def test_whole_tracks_are_their_frames_one_by_one(build, monkeypatch, causal, chunk_frames, folded):
    monkeypatch.setattr(inference, "_WORTH_FOLDING", 1 if folded else 10**9)
    model = build(causal=causal)
    tracks = [torch.randn(frames, 17, 2) for frames in (100, 1, 5, 33, 100, 17, 64)]
    lifted = lift(model, tracks, flip=False, chunk_frames=chunk_frames)
    for track, (pose, trajectory) in zip(tracks, lifted, strict=True):
        expected_pose, expected_trajectory = by_frame(model, track)
        torch.testing.assert_close(pose, expected_pose, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(trajectory, expected_trajectory, atol=1e-5, rtol=1e-5)


def test_flip_averages_with_the_mirror_image(build):
    model, track = build(), torch.randn(20, 17, 2)
    (pose, trajectory), (mirror_pose, mirror_trajectory) = lift(model, [track, mirrored(track, COCO)], flip=False)
    [(mean_pose, mean_trajectory)] = lift(model, [track], flip=True)
    assert trajectory is not None
    assert mirror_trajectory is not None
    torch.testing.assert_close(mean_pose, (pose + mirrored(mirror_pose, H36M)) / 2)
    torch.testing.assert_close(mean_trajectory, (trajectory + mirrored(mirror_trajectory, ROOT)) / 2)


def test_with_flip_the_mirror_image_gives_the_mirror_image(build):
    model, track = build(), torch.randn(20, 17, 2)
    (pose, trajectory), (mirror_pose, mirror_trajectory) = lift(model, [track, mirrored(track, COCO)], flip=True)
    assert mirror_trajectory is not None
    torch.testing.assert_close(mirrored(mirror_pose, H36M), pose)
    torch.testing.assert_close(mirrored(mirror_trajectory, ROOT), trajectory)


def test_without_a_trajectory(build):
    [(pose, trajectory)] = lift(build(trajectory=False), [torch.randn(20, 17, 2)], flip=True)
    assert pose.shape == (20, 17, 3)
    assert trajectory is None


def test_the_mode_is_put_back(build):
    model = build().train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    lift(model, [torch.randn(20, 17, 2)], flip=False)
    assert model.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_scores_stay_with_their_joint():
    keypoints = torch.randn(4, 17, 3)
    mirror = mirrored(keypoints, COCO)
    assert torch.equal(mirror[:, COCO.index("left_knee"), 2], keypoints[:, COCO.index("right_knee"), 2])
    assert torch.equal(mirror[:, COCO.index("left_knee"), 0], -keypoints[:, COCO.index("right_knee"), 0])
    assert torch.equal(mirrored(mirror, COCO), keypoints)


def test_nothing_larger_than_a_chunk_is_read_at_once(build, monkeypatch):
    monkeypatch.setattr(inference, "_WORTH_FOLDING", 10**9)
    model, sizes = build(), []
    model.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[0] * inputs[0].shape[1]))
    lift(model, [torch.randn(frames, 17, 2) for frames in [1000] + [3] * 200], flip=False, chunk_frames=64)
    assert max(sizes) <= 64 + 8
    assert len(sizes) < 100
