"""The objective: each term against its formula, and which joints and samples it looks at."""

import pytest
import torch
from train.training_samples import FISHEYE, person

from pipelines.pose import cameras
from pipelines.sampling.sequences import concatenate
from pipelines.sampling.windows import Windows, WindowShape
from pipelines.train.objective import Objective, Prediction
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import ObjectiveConfig
from schemas.frame_window import FrameWindow
from schemas.layouts import layout, shared_joints

H36M, COCO = layout("h36m17"), layout("coco17")
ALONE = WorkerGroup(torch.device("cpu"))
NINE, CAUSAL = (WindowShape(FrameWindow.sliding(9, causal=causal)) for causal in (False, True))


def batch(name, count=6, labeled=True, keypoints=H36M, **changes):
    track = person(name, layout=keypoints.name, **changes)
    sequences = concatenate([track], layout=keypoints, positions_layout=H36M if labeled else None)
    return Windows(sequences, NINE).gather(torch.arange(10, 10 + count), torch.zeros(count).bool())


def truth(batch):
    root = batch.positions[:, :, :1]
    return Prediction(batch.positions - root, root)


def both(first, second):
    return Prediction(torch.cat([first.pose, second.pose]), torch.cat([first.trajectory, second.trajectory]))


def objective(keypoints=H36M, **config):
    return Objective(ObjectiveConfig(**config), keypoints, H36M, ALONE, fps=50.0)


def test_the_truth_costs_nothing():
    labeled, unlabeled = batch("a"), batch("a")
    terms = objective()(labeled, both(truth(labeled), truth(unlabeled)), unlabeled)
    assert set(terms) == {"pose", "trajectory", "reprojection", "bone_length"}
    for name, value in terms.items():
        assert value.item() == pytest.approx(0, abs=1e-6), name


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_truth_costs_nothing_where_a_fisheye_films(mirrored):
    sequences = concatenate([person("a", intrinsics=FISHEYE)], layout=H36M, positions_layout=H36M)
    windows = Windows(sequences, NINE).gather(torch.arange(10, 16), torch.full((6,), mirrored))
    assert windows.fisheyes
    terms = objective()(windows, both(truth(windows), truth(windows)), windows)
    assert terms["reprojection"].item() == pytest.approx(0, abs=1e-6)


def test_a_batch_says_whether_it_needs_the_model_of_fisheyes():
    mixed = concatenate([person("a"), person("b", intrinsics=FISHEYE)], layout=H36M, positions_layout=H36M)
    assert mixed.fisheyes
    assert not batch("a").fisheyes
    assert not batch("a", intrinsics=None, intrinsics_provenance="none").fisheyes


def test_each_term_is_its_formula():
    labeled, unlabeled = batch("a"), batch("b", count=4)
    torch.manual_seed(0)
    poses = torch.randn(2, 6, 1, 17, 3) * 0.3
    roots = torch.randn(2, 6, 1, 1, 3) + torch.tensor([0, 0, 5.0])
    known, guess = Prediction(poses[0], roots[0]), Prediction(poses[1, :4], roots[1, :4])
    terms = objective()(labeled, both(known, guess), unlabeled)
    assert labeled.positions is not None
    assert unlabeled.cameras is not None
    root = labeled.positions[:, :, :1]
    assert terms["pose"] == pytest.approx((poses[0] - labeled.positions + root).norm(dim=-1).mean().item())
    weighted = (roots[0] - root).norm(dim=-1) / root[..., 2]
    assert terms["trajectory"] == pytest.approx(weighted.mean().item())
    projected = cameras.project(poses[1, :4] + roots[1, :4], unlabeled.cameras[:, None, None])
    assert terms["reprojection"] == pytest.approx((projected - unlabeled.keypoints).norm(dim=-1).mean().item())

    def bones(pose):
        return torch.stack([(pose[:, :, c] - pose[:, :, p]).norm(dim=-1).mean() for c, p in H36M.bones])

    assert terms["bone_length"] == pytest.approx((bones(known.pose) - bones(guess.pose)).abs().mean().item())


def test_weights_multiply_and_modes_switch_off():
    labeled, unlabeled = batch("a"), batch("b")
    wrong = both(truth(labeled), truth(batch("c")))
    plain = objective()(labeled, wrong, unlabeled)
    heavy = objective(reprojection=3, bone_length=0)(labeled, wrong, unlabeled)
    assert heavy["reprojection"] == pytest.approx(3 * plain["reprojection"].item())
    assert "bone_length" not in heavy
    assert "reprojection" not in objective(projection="none")(labeled, wrong, unlabeled)


def test_only_joints_of_the_same_name_are_compared():
    """A COCO detector against H36M poses: 12 limb joints; moving the face changes nothing."""
    labeled = batch("a")
    first = batch("b", keypoints=COCO)
    pairs = shared_joints(COCO, H36M)
    assert len(pairs) == 12
    prediction = both(truth(labeled), truth(batch("b")))
    before = objective(COCO)(labeled, prediction, first)["reprojection"]
    first.keypoints[:, :, COCO.index("nose")] += 5
    assert objective(COCO)(labeled, prediction, first)["reprojection"] == before
    first.keypoints[:, :, COCO.index("left_knee")] += 5
    assert objective(COCO)(labeled, prediction, first)["reprojection"] > before + 0.1


def test_causal_lifters_are_compared_with_the_last_frame_they_see():
    track = concatenate([person("a")], layout=H36M, positions_layout=H36M)
    causal = Windows(track, CAUSAL).gather(torch.tensor([20]), torch.tensor([False]))
    assert torch.equal(causal.keypoints[:, 0], causal.inputs[:, -1])


def test_confidence_zero_counts_nothing():
    labeled, unlabeled = batch("a"), batch("b", scores=torch.ones(60, 17).numpy())
    prediction = both(truth(labeled), truth(batch("b")))
    unlabeled.keypoints[:2] += 9
    unlabeled.scores[:2] = 0
    weighted = objective(confidence_weighted=True)(labeled, prediction, unlabeled)["reprojection"]
    assert weighted.item() == pytest.approx(0, abs=1e-5)
    unlabeled.scores[:] = 0
    assert objective(confidence_weighted=True)(labeled, prediction, unlabeled)["reprojection"].item() == 0


def test_orthographic_needs_no_camera_and_no_trajectory():
    labeled, unlabeled = batch("a"), batch("b", labeled=False, intrinsics=None, intrinsics_provenance="none")
    assert unlabeled.cameras is None
    pose = truth(batch("b")).pose
    prediction = Prediction(torch.cat([truth(labeled).pose, pose]), None)
    terms = objective(projection="orthographic")(labeled, prediction, unlabeled)
    # Perspective and distortion are what is left.
    assert 0 < terms["reprojection"].item() < 0.05
    assert "trajectory" not in terms


@pytest.mark.parametrize("intrinsics", [None, FISHEYE])
def test_a_fitted_person_is_where_the_keypoints_say_whatever_the_trajectory(intrinsics):
    changes = {} if intrinsics is None else {"intrinsics": intrinsics}
    labeled, unlabeled = batch("a", **changes), batch("b", **changes)
    pose = torch.cat([truth(labeled).pose, truth(unlabeled).pose])
    terms = objective(projection="fitted")(labeled, Prediction(pose, None), unlabeled)
    assert terms["reprojection"].item() == pytest.approx(0, abs=1e-4)
    assert "trajectory" not in terms
    elsewhere = Prediction(pose, torch.full((12, 1, 1, 3), 9.0))
    assert objective(projection="fitted")(labeled, elsewhere, unlabeled)["reprojection"] == terms["reprojection"]


def test_a_fitted_person_shows_what_no_place_explains():
    """A person twice as large is only farther away, which bone lengths tell; a bent knee is seen anywhere."""
    labeled, unlabeled = batch("a"), batch("a")
    known, pose = truth(labeled).pose, truth(unlabeled).pose
    fitted = objective(projection="fitted")
    larger = fitted(labeled, Prediction(torch.cat([known, 2 * pose]), None), unlabeled)
    assert larger["reprojection"].item() == pytest.approx(0, abs=1e-4)
    assert larger["bone_length"].item() > 0.1
    bent = pose.clone()
    bent[:, :, H36M.index("left_knee"), 0] += 0.2
    assert fitted(labeled, Prediction(torch.cat([known, bent]), None), unlabeled)["reprojection"].item() > 3e-3
    away = pose.clone()
    away[:, :, H36M.index("left_knee"), 2] += 0.2
    along_the_ray = fitted(labeled, Prediction(torch.cat([known, away]), None), unlabeled)["reprojection"].item()
    assert 1e-4 < along_the_ray < 3e-3, "perspective tells little of depth"


def test_clips_are_compared_without_scale_and_by_their_velocity():
    track = concatenate([person("a")], layout=H36M, positions_layout=H36M)
    clips = Windows(track, WindowShape(FrameWindow.clip(9), 9)).batch(torch.arange(3))
    torch.manual_seed(0)
    right = truth(clips)
    larger = Prediction(2 * right.pose, right.trajectory)
    terms = objective(scale_free=0.5, velocity=0.4)(clips, larger)
    assert terms["scale_free"].item() == pytest.approx(0, abs=1e-5)
    # At twice the size joints move twice as fast: the error is their own speed, m/s.
    speed = right.pose.diff(dim=1).norm(dim=-1).mean() * 50
    assert terms["velocity"].item() == pytest.approx(0.4 * speed.item(), rel=1e-4)
    moved = Prediction(right.pose + 1, right.trajectory)
    assert objective(velocity=1)(clips, moved)["velocity"].item() == pytest.approx(0, abs=1e-4)
