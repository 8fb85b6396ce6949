"""The loop: resuming changes nothing, two workers equal one, divergence is reported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from train.training_samples import FISHEYE, person, small, write
from train.two_workers import train

from pipelines.lifters.batch_norm import BatchNormActivation
from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup
from schemas.errors import RunFailed
from schemas.job_config import PluginConfig

ALONE = WorkerGroup(torch.device("cpu"))
TESTS = Path(__file__).parents[1]


@pytest.fixture
def corpus(tmp_path):
    labeled = write(tmp_path / "labeled", person("a"), person("b", subject="S2"), person("c", 7, subject="S3"))
    unlabeled = write(tmp_path / "unlabeled", person("d", 90), person("e", 33))
    return labeled, unlabeled


def from_corpus(corpus, output, **changes):
    labeled, unlabeled = corpus
    return small(labeled, unlabeled, output, **changes)


def training(config):
    plan = plan_training(config)
    return LifterTraining(config, plan, load_data(config, plan, ALONE), ALONE)


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.values(), second.values(), strict=True))


AVERAGED = {"average_decay": 0.9, "weight_decay": 0.01, "learning_rate_warmup_epochs": 2.5}


@pytest.mark.parametrize(("pool_frames", "optimization"), [(10**6, {}), (100, {}), (10**6, AVERAGED)])
def test_a_continued_training_is_bitwise_the_undisturbed_one(corpus, tmp_path, pool_frames, optimization):
    config = from_corpus(corpus, tmp_path, data={"pool_frames": pool_frames}, optimization=optimization)
    undisturbed = training(config)
    for _ in range(4):
        undisturbed.run_epoch()
    interrupted = training(config)
    for _ in range(2):
        interrupted.run_epoch()
    torch.save(interrupted.state(), tmp_path / "state.pt")
    torch.manual_seed(12345)
    continued = training(config)
    continued.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [continued.run_epoch().epoch for _ in range(2)] == [3, 4]
    assert same(undisturbed.model.state_dict(), continued.model.state_dict())
    assert same(undisturbed.result.state_dict(), continued.result.state_dict())
    assert (undisturbed.result is undisturbed.model) == (not optimization), "what is saved is the average"


def test_another_seed_is_another_model(corpus, tmp_path):
    first = training(from_corpus(corpus, tmp_path))
    second = training(from_corpus(corpus, tmp_path, optimization={"seed": 1}))
    assert not same(first.model.state_dict(), second.model.state_dict())


def test_unlabeled_tracks_wait_for_the_warm_up(corpus, tmp_path):
    looped = training(from_corpus(corpus, tmp_path))
    first, second = looped.run_epoch(), looped.run_epoch()
    assert set(first.losses) == {"pose", "trajectory", "total"}
    assert set(second.losses) == {"pose", "trajectory", "reprojection", "bone_length", "total"}
    assert first.count == 2 * (60 + 60 + 7)
    assert second.count == first.count + 8 * 32


def test_without_unlabeled_tracks_there_is_one_lifter_and_one_term(corpus, tmp_path):
    looped = training(small(corpus[0], None, tmp_path))
    assert looped.model.trajectory is None
    assert set(looped.run_epoch().losses) == {"pose", "total"}


def test_schedules_follow_the_epoch(corpus, tmp_path):
    looped = training(from_corpus(corpus, tmp_path))
    rates = [looped.run_epoch().learning_rate for _ in range(3)]
    assert rates == pytest.approx([1e-3, 0.95e-3, 0.95**2 * 1e-3])
    momenta = {m.momentum.item() for m in looped.model.modules() if isinstance(m, BatchNormActivation)}
    assert list(momenta) == pytest.approx([0.1 * 0.01 ** (2 / 4)])


def test_it_learns_from_unlabeled_film_of_a_fisheye(tmp_path):
    labeled = write(tmp_path / "labeled", person("a", 200, intrinsics=FISHEYE))
    unlabeled = write(tmp_path / "unlabeled", person("c", 200, intrinsics=FISHEYE))
    changes = {"lifter": {"channels": 32, "dropout": 0.0}, "optimization": {"epochs": 6, "learning_rate": 1e-2}}
    looped = training(small(labeled, unlabeled, tmp_path, **changes))
    losses = [looped.run_epoch().losses for _ in range(6)]
    assert losses[-1]["reprojection"] < 0.9 * losses[1]["reprojection"]


def test_it_learns_what_is_held_out(tmp_path):
    labeled = write(tmp_path / "labeled", person("a", 400), person("b", 200, subject="S2"))
    changes = {"lifter": {"channels": 32, "dropout": 0.0}, "optimization": {"epochs": 8, "learning_rate": 1e-2}}
    looped = training(small(labeled, None, tmp_path, data={"validation_subjects": ["S2"]}, **changes))
    reports = [looped.run_epoch() for _ in range(8)]
    assert reports[-1].validation["mpjpe_mm"] < 0.8 * reports[0].validation["mpjpe_mm"]
    assert {"p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm"} <= set(reports[-1].validation)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"chunk": 4}},
        {"data": {"mirroring": "random"}},
        {"lifter": {"causal": True}},
        {"lifter": {"scores": True}},
        {"objective": {"projection": "orthographic"}},
        {"objective": {"projection": "fitted", "confidence_weighted": True}},
        {"objective": {"projection": "linear", "confidence_weighted": True}},
        {"resources": {"precision": "bf16"}},
        {"data": {"downsample": 2, "subset": 0.5}},
        {"optimization": {"clip_gradient_norm": 1.0}},
        {"lifter": {"filter_widths": [1, 1]}},
    ],
)
def test_every_option_trains(corpus, tmp_path, changes):
    looped = training(from_corpus(corpus, tmp_path, **changes))
    looped.run_epoch()
    assert looped.run_epoch().losses["total"] > 0


CLIPS = {
    **{"name": "spacetime_transformer", "clip": 9, "channels": 16, "depth": 1, "heads": 2, "representation": 16},
    **{"drop_path": 0.0, "mask_joints": 0.0, "mask_frames": 0.0},  # nothing random
}


@pytest.mark.parametrize(
    "objective",
    [
        {"bone_length": 0},
        {"bone_length": 0, "projection": "linear", "confidence_weighted": True},
        {"bone_length": 0, "velocity": 0.4, "scale_free": 0.5},
    ],
)
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(corpus, tmp_path, objective):
    gradients, losses = [], []
    for accumulate in (1, 3):
        optimization = {"accumulate": accumulate, "batch_size": 90}
        changes = {"objective": {"warmup_epochs": 0, **objective}, "optimization": optimization}
        config = from_corpus(corpus, tmp_path, data={"validation_subjects": []}, **changes)
        looped = training(config.model_copy(update={"lifter": PluginConfig.model_validate(CLIPS)}))
        batches = next(looped._batches(0))
        assert len(batches[0]) >= 6
        losses.append(looped._step(batches))
        gradients.append([weights.grad for weights in looped.model.parameters() if weights.grad is not None])
    assert losses[1].keys() == losses[0].keys()
    for name, value in losses[0].items():
        # Each part of the unlabeled samples is weighted by its own confidences.
        tolerance = 0.1 if name in ("reprojection", "total") and objective.get("confidence_weighted") else 1e-5
        assert losses[1][name].item() == pytest.approx(value.item(), rel=tolerance), name
    if not objective.get("confidence_weighted"):
        for whole, summed in zip(*gradients, strict=True):
            assert torch.allclose(whole, summed, rtol=1e-3, atol=1e-5)


def test_parts_have_two_samples_at_least(corpus, tmp_path):
    looped = training(from_corpus(corpus, tmp_path, optimization={"accumulate": 1000}))
    assert looped.run_epoch().count == 2 * (60 + 60 + 7)


DENSE = {"name": "temporal_conv", "filter_widths": [3, 3], "channels": 32, "dropout": 0.0}
MASKED = {"name": "supermask", "share": 0.5, "inner": DENSE}


@pytest.mark.parametrize(("lifter", "average_decay"), [(MASKED, None), (MASKED, 0.5)])
def test_what_is_saved_has_the_statistics_of_its_own_weights(corpus, tmp_path, lifter, average_decay):
    """Those that followed the steps lag behind masks, which change by jumps."""
    config = from_corpus((corpus[0], None), tmp_path, optimization={"average_decay": average_decay})
    looped = training(config.model_copy(update={"lifter": PluginConfig.model_validate(lifter)}))
    for _ in range(3):
        looped.run_epoch()
    samples = looped._data.labeled
    inputs = torch.cat([samples.batch(2, step).inputs for step in range(samples.steps_per_epoch)])
    model = looped.result
    with torch.no_grad():
        lifted, of_the_batch = model.eval()(inputs)[0], model.train()(inputs)[0]
    difference = torch.linalg.vector_norm(lifted - of_the_batch, dim=-1).mean()
    assert difference < 0.1 * torch.linalg.vector_norm(of_the_batch, dim=-1).mean()


def test_a_loss_that_is_not_finite_names_its_batch(corpus, tmp_path):
    looped = training(small(corpus[0], None, tmp_path, optimization={"learning_rate": 1e30}))
    with pytest.raises(RunFailed, match=r"epoch 1, step \d: the loss is not finite.* tracks \(a, b.*learning_rate"):
        looped.run_epoch()


@pytest.mark.long
def test_two_workers_are_one_worker_with_the_whole_batch(corpus, tmp_path):
    """Weights, batch statistics and reported losses after three steps, gloo on CPUs, uneven shares."""
    narrow = {"name": "temporal_conv", "filter_widths": [3, 3], "channels": 16, "dropout": 0.0}
    trainings = [
        {"lifter": narrow},
        {"lifter": narrow, "resources": {"compile": True}},
        {"lifter": narrow, "resources": {"bf16_gradients": True}},
        {"lifter": {"name": "train.plain_lifter:PlainLifter"}},  # has nn.BatchNorm1d
        {"lifter": narrow, "optimization": {"learning_rate_factors": ["*.expand.*=0"]}},
        {"lifter": CLIPS, "objective": {"bone_length": 0}, "optimization": {"accumulate": 2, "batch_size": 100}},
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    labeled, unlabeled = corpus
    arguments = [str(tmp_path), labeled, unlabeled, json.dumps(trainings)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "train.two_workers", str(rank), *arguments], stderr=subprocess.PIPE, env=environment
        )
        for rank in range(2)
    ]
    one = [train(ALONE, tmp_path, labeled, unlabeled, changes | {"resources": {}}) for changes in trainings]
    for worker in workers:
        _, complaint = worker.communicate(timeout=120)
        assert worker.returncode == 0, complaint.decode()
    two = torch.load(tmp_path / "trained.pt", weights_only=True)
    # One worker runs PyTorch's own batch norm, which rounds otherwise than the synchronised one.
    # In the last training, gradients that are nearly 0 may get another sign, of which Adam makes steps of its own size.
    for alone, shared, atol in zip(one, two, (1e-5, 1e-5, 7e-3, 1e-4, 1e-5, 7e-3), strict=True):
        assert alone["losses"] == pytest.approx(shared["losses"], abs=max(1e-5, 0.1 * atol))
        for name, value in alone["model"].items():
            assert torch.allclose(value, shared["model"][name], atol=atol), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")
@pytest.mark.parametrize(("precision", "within"), [("float32", 0.01), ("bf16", 0.1)])
def test_a_gpu_learns_as_a_cpu_does_and_is_hardly_waited_for(corpus, tmp_path, precision, within):
    # Without dropout, whose random numbers are others on a GPU.
    lifter = {"dropout": 0.0}
    changes = {"lifter": lifter, "resources": {"precision": precision}, "data": {"validation_subjects": []}}
    here = training(from_corpus(corpus, tmp_path, **changes | {"resources": {"precision": "float32"}}))
    config = from_corpus(corpus, tmp_path, **changes)
    plan, workers = plan_training(config), WorkerGroup(torch.device("cuda"))
    there = LifterTraining(config, plan, load_data(config, plan, workers), workers)
    there.restore(here.state() | {"average": None})
    expected = [here.run_epoch().losses["total"] for _ in range(2)]
    assert [there.run_epoch().losses["total"] for _ in range(2)] == pytest.approx(expected, rel=within)
    torch.cuda.set_sync_debug_mode("error")
    try:
        there._step(next(iter(there._batches(2))))
    finally:
        torch.cuda.set_sync_debug_mode("default")
