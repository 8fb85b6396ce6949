"""Every lifter of the table is trained, saved, loaded, lifts whole tracks, and is exported and served."""

import numpy as np
import pytest
import torch
from register.served_lifters import expected, given, served
from train.training_samples import person, small, write

from pipelines import registry
from pipelines.lifters.checkpoint import LifterCard, load_lifter, save_lifter
from pipelines.lifters.inference import lift
from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup
from schemas.job_config import PluginConfig

ALONE = WorkerGroup(torch.device("cpu"))
# Small options of each lifter. Whoever adds one to the table adds it here.
OPTIONS = {
    "temporal_conv": {"filter_widths": [3, 3], "channels": 8, "scores": True},
    "residual_mlp": {"channels": 16, "scores": True},
    "spacetime_transformer": {"clip": 9, "channels": 16, "depth": 2, "heads": 2, "representation": 8},
    "supermask": {"inner": {"name": "temporal_conv", "filter_widths": [3, 3], "channels": 8, "scores": True}},
}


def test_all_of_the_table_are_here():
    assert set(OPTIONS) == set(registry.LIFTERS)


@pytest.fixture(scope="module", params=OPTIONS)
def name(request):
    return request.param


@pytest.fixture(scope="module", params=["screen", "person_centred"])
def trained(name, request, tmp_path_factory):
    """The lifter after two epochs with unlabeled tracks, its card and its losses."""
    folder = tmp_path_factory.mktemp("trained")
    labeled = write(folder / "labeled", person("a"), person("b", subject="S2"))
    unlabeled = write(folder / "unlabeled", person("d", 40))
    config = small(
        labeled,
        unlabeled,
        folder,
        data={"input": request.param, "validation_subjects": ["S2"]},
        objective={"warmup_epochs": 1},
        optimization={
            "epochs": 4,
            "learning_rate": 0.003,
            "weight_decay": 0.01,
            "average_decay": 0.9,
            "learning_rate_warmup_epochs": 1,
        },
    )
    lifter = PluginConfig.model_validate({"name": name, **OPTIONS[name]})
    config = config.model_copy(update={"lifter": lifter})
    plan = plan_training(config)
    training = LifterTraining(config, plan, load_data(config, plan, ALONE), ALONE)
    training.restore(None)
    history = [training.run_epoch() for _ in range(4)]
    card = LifterCard(
        **{"lifter": name, "config": OPTIONS[name], "input_layout": "h36m17", "output_layout": "h36m17"},
        **{"trajectory": True, "fps": plan.fps, "window": plan.shape.window, "input": request.param},
    )
    return training, card, history


def test_it_learns(trained):
    _, _, history = trained
    assert min(report.losses["pose"] for report in history[1:]) < history[0].losses["pose"]
    assert history[-1].validation["mpjpe_mm"] > 0
    assert "reprojection" in history[-1].losses


def test_it_is_saved_and_loaded(trained, tmp_path):
    training, card, _ = trained
    save_lifter(str(tmp_path / "lifter.pt"), training.result, card)
    model, loaded = load_lifter(str(tmp_path / "lifter.pt"))
    assert loaded == card
    track = torch.rand(30, 17, 3)
    for before, after in zip(lift(training.result, [track], flip=True), lift(model, [track], flip=True), strict=True):
        assert torch.equal(before[0], after[0])


def test_tracks_of_any_length_are_lifted(trained):
    training, _, _ = trained
    tracks = [torch.rand(frames, 17, 3) for frames in (1, 2, 5, 40, 9)]
    alone = [lift(training.result, [track], flip=True)[0] for track in tracks]
    for track, one, (pose, root) in zip(tracks, alone, lift(training.result, tracks, flip=True), strict=True):
        assert pose.shape == (len(track), 17, 3)
        assert root is not None
        assert root.shape == (len(track), 1, 3)
        torch.testing.assert_close(pose, one[0], atol=1e-5, rtol=1e-5)


def test_it_is_served_as_it_lifts(trained, tmp_path):
    training, card, _ = trained
    model = training.result.eval()
    lifter = served(tmp_path, model, card)
    for frames in (2, 5, 40):
        # Person-centred lifters are served with assumed intrinsics.
        track = person("z", frames, intrinsics=None, intrinsics_provenance="none")
        answer = lifter.predict(None, given(track, scores=True))
        for key, values in expected(model, card, track).items():
            np.testing.assert_allclose(answer[key], values, atol=2e-4, err_msg=key)
