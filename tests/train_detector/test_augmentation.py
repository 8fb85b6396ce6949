import numpy as np
import pytest
import torch
from train_detector.people_samples import INPUT_WH, LAYOUT, canvases, shape

from pipelines.detectors.topdown.crops import move, warp
from pipelines.train_detector.augmentation import plain_view, random_view
from schemas.configs.train_detector import AugmentationConfig

NONE = {"scale": 0, "rotated": 0, "mirrored": 0, "half_body": 0}


def augmented(canvas_set, seed=0, **options):
    config = AugmentationConfig.model_validate(NONE | options)
    return random_view(canvas_set.keypoints, canvas_set.labeled, shape(), config, np.random.default_rng(seed))


def crops(canvas_set, view):
    pixels = torch.from_numpy(np.stack([canvas_set.canvas(person) for person in range(len(canvas_set))]))
    return warp(pixels, torch.arange(len(canvas_set)), view.matrices, INPUT_WH)


def test_without_augmentation_it_is_what_the_detector_sees(tmp_path):
    canvas_set = canvases(tmp_path)
    plain, same = plain_view(canvas_set.keypoints, canvas_set.labeled, shape()), augmented(canvas_set)
    torch.testing.assert_close(same.matrices, plain.matrices)
    torch.testing.assert_close(same.points, plain.points)


@pytest.mark.parametrize("options", [{"scale": 0.35}, {"rotated": 1}, {"mirrored": 1}, {"half_body": 1}, "all"])
def test_joints_stay_on_their_pixels(tmp_path, options):
    canvas_set = canvases(tmp_path)
    view = augmented(canvas_set, **({"scale": 0.2, "rotated": 1, "mirrored": 0.5} if options == "all" else options))
    images, names = crops(canvas_set, view), list(LAYOUT.mirror)
    mirrored = torch.linalg.det(view.matrices[:, :, :2]) < 0
    checked = 0
    for person, image in enumerate(images):
        for joint, (x, y) in enumerate(view.points[person].round().long().tolist()):
            if 0 <= x < INPUT_WH[0] and 0 <= y < INPUT_WH[1]:
                # A mirrored person's left is what was the right; each joint is a disc of its own grey.
                source = names[joint] if mirrored[person] else joint
                assert image[y, x].max() > 50, (person, joint, source)
                checked += 1
    assert checked > 30
    assert bool(mirrored.any()) == (options in ({"mirrored": 1}, "all"))


def test_the_mirrored_have_their_sides_swapped(tmp_path):
    canvas_set = canvases(tmp_path)
    plain, mirrored = augmented(canvas_set), augmented(canvas_set, mirrored=1)
    left, right = LAYOUT.index("left_wrist"), LAYOUT.index("right_wrist")
    assert not plain.labeled[:, left].any()
    assert plain.labeled[:, right].all()
    assert mirrored.labeled[:, left].all()
    assert not mirrored.labeled[:, right].any()
    torch.testing.assert_close(mirrored.points[:, left], move(canvas_set.keypoints, mirrored.matrices)[:, right])


def test_scale_and_rotation_keep_to_their_limits(tmp_path):
    canvas_set = canvases(tmp_path)
    scales, turns = [], []
    for seed in range(60):
        linear = augmented(canvas_set, seed, scale=0.3, rotated=0.5, rotation_deg=40).matrices[:, :, :2]
        scales.append(1 / torch.linalg.det(linear).sqrt())
        turns.append(torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 0, 0])))
    scale, turn = torch.cat(scales), torch.cat(turns)
    assert 0.7 - 1e-4 <= scale.min() < 0.75
    assert 1.25 < scale.max() <= 1.3 + 1e-4
    assert 60 < turn.abs().max() <= 80 + 1e-3
    assert 0.4 < float((turn.abs() < 1e-4).float().mean()) < 0.6


def test_a_half_body_crop_is_padded_and_centred(tmp_path):
    canvas_set = canvases(tmp_path)
    view = augmented(canvas_set, half_body=1)
    lower = torch.tensor([name.endswith(("pelvis", "hip", "knee", "ankle")) for name in LAYOUT.joints])
    for points, labeled in zip(view.points, view.labeled, strict=True):
        middles = [points[labeled & half].mean(0) for half in (lower, ~lower)]
        off = [float((middle - torch.tensor(INPUT_WH) / 2).abs().max()) for middle in middles]
        assert min(off) < 1e-3


def test_options_do_not_change_what_chance_does_elsewhere(tmp_path):
    canvas_set = canvases(tmp_path)
    first, second = augmented(canvas_set, scale=0.3), augmented(canvas_set, scale=0.3, mirrored=1)
    scales = [torch.linalg.det(view.matrices[:, :, :2]).abs() for view in (first, second)]
    torch.testing.assert_close(*scales)
