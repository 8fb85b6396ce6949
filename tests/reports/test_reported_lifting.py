"""Trouble with lifters, their training and their scores that people report to the makers of other lifters."""

import numpy as np
import pytest
import torch
from datasets.moving_people import H36M, track, walking
from train.test_loop import training
from train.training_samples import person, small, write

from pipelines.datasets.plausibility import Plausibility
from pipelines.lifters.inference import lift
from pipelines.lifters.model import build_model
from pipelines.pose.cameras import from_screen, to_screen
from pipelines.pose.metrics import align_scale, mpjpe_mm, n_mpjpe_mm, p_mpjpe_mm
from pipelines.train import run
from schemas.errors import UserError
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS


def lifter(*widths: int, **options):
    torch.manual_seed(0)
    values = {"name": "temporal_conv", "filter_widths": list(widths), "channels": 8, **options}
    layouts = LAYOUTS["h36m17"], LAYOUTS["h36m17"]
    return build_model(PluginConfig.model_validate(values), *layouts, False).eval()


@pytest.mark.parametrize("widths", [(1,), (3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3, 3)])
def test_a_lifter_has_the_window_that_short_clips_need(widths):
    assert lifter(*widths).pose.window.inputs == np.prod(widths)


def test_clips_shorter_than_the_window_stay_in_step():
    model = lifter(3, 3, 3)
    still = torch.zeros(7, 17, 2)
    moved = still.clone()
    moved[3, 5] += 1
    [(before, _)], [(after, _)] = lift(model, [still], flip=False), lift(model, [moved], flip=False)
    assert len(after) == 7
    longer = torch.cat([moved[:1].expand(30, -1, -1), moved, moved[-1:].expand(30, -1, -1)])
    [(whole, _)] = lift(model, [longer], flip=False)
    torch.testing.assert_close(after, whole[30:37], atol=1e-5, rtol=1e-5)
    assert not torch.equal(before, after)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (1000, 1000)])
def test_people_keep_their_shape_in_pictures_of_any_shape(width, height):
    square = torch.tensor([[100.0, 100], [200, 100], [200, 200], [100, 200]])
    sides = torch.linalg.norm(to_screen(square, width, height).diff(dim=0), dim=-1)
    torch.testing.assert_close(sides, sides[:1].expand(3))
    torch.testing.assert_close(from_screen(to_screen(square, width, height), width, height), square)


def test_handstands_among_other_postures_are_imported():
    motion = walking(200)
    motion[120:] = motion[120:] * (1, -1, -1) + (0, 0, 1.7)
    check = Plausibility(from_pictures=False)
    check.add(track(motion))
    check.verdict()


POSES = np.random.default_rng(0).normal(0, 0.4, (50, 17, 3))
POSES -= POSES[:, :1]


def test_errors_are_millimetres():
    moved = torch.from_numpy(POSES) + torch.tensor([0.01, 0, 0])
    assert mpjpe_mm(moved, torch.from_numpy(POSES)) == pytest.approx(10)


def test_scale_is_aligned_by_least_squares():
    target = torch.from_numpy(POSES)
    pred = torch.from_numpy(1.3 * POSES + np.random.default_rng(1).normal(0, 0.02, POSES.shape))
    best = (align_scale(pred, target) - target).square().sum(dim=(1, 2))
    for factor in (0.99, 1.01):
        assert ((factor * align_scale(pred, target) - target).square().sum(dim=(1, 2)) >= best).all()
    assert n_mpjpe_mm(1.7 * target, target) == pytest.approx(0, abs=1e-6)


def test_alignment_takes_away_similarities_and_nothing_else():
    target = torch.from_numpy(POSES)
    turned = torch.from_numpy(2.5 * POSES @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]) + (1, 2, 3))
    assert p_mpjpe_mm(turned, target) == pytest.approx(0, abs=1e-6)
    assert p_mpjpe_mm(target * torch.tensor([1.0, 1, 0.5]), target) > 10


@pytest.fixture
def labeled(tmp_path):
    return write(tmp_path / "labeled", person("a"), person("b", subject="S2"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"learning_rate": 1e-4},
            r"was begun with optimization.learning_rate=0.001, now .*=0.0001; give the same",
        ),
        ({"batch_size": 64}, r"was begun with optimization.batch_size=32, now optimization.batch_size=64"),
    ],
)
def test_a_training_is_not_resumed_with_another_rate_in_silence(labeled, tmp_path, changed, message):
    job = run.prepare(small(labeled, None, tmp_path / "out"))
    job.manifest.write(job.config.output, "run")
    with pytest.raises(UserError, match=message):
        run.survey(run.prepare(small(labeled, None, tmp_path / "out", optimization=changed)))


def test_batches_of_one_are_refused_before_anything_starts(labeled, tmp_path):
    with pytest.raises(UserError, match=r"^optimization.batch_size=1: the smallest batch has a single frame"):
        run.prepare(small(labeled, None, tmp_path / "out", optimization={"batch_size": 1}))


def test_one_person_is_enough_to_train_and_the_last_epoch_is_the_best(tmp_path):
    alone = write(tmp_path / "alone", person("a"))
    begun = training(small(alone, None, tmp_path / "out", optimization={"epochs": 1}))
    begun.restore(None)
    assert begun.run_epoch().validation == {}
    assert H36M.index("pelvis") == 0
