"""A training may start from a lifter: its values count where no others are given, and what does not fit is one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train.test_loop import ALONE
from train.training_samples import person, small, write

from pipelines.lifters.checkpoint import LifterCard, load_lifter, save_lifter
from pipelines.pose.middles import joints_from, poses_from
from pipelines.train import run
from pipelines.train.data import load_data
from pipelines.train.initial_weights import keep_copy, read_copy
from pipelines.train.loop import LifterTraining
from schemas.configs.train import TrainConfig
from schemas.errors import UserError
from schemas.layouts import layout


@pytest.fixture
def labeled(tmp_path):
    return write(tmp_path / "labeled", person("a"), person("b", subject="S2"))


@pytest.fixture
def parent(labeled, tmp_path):
    """The file of a lifter that was trained for an epoch."""
    training = begun(run.prepare(small(labeled, None, tmp_path / "first")))
    training.restore(None)
    training.run_epoch()
    card = run._card(run.prepare(small(labeled, None, tmp_path / "first")), {"run_id": "1"})
    file = str(tmp_path / "parent.pt")
    save_lifter(file, training.model, card.model_copy(update={"lineage": {"subjects": '["S0"]'}}))
    return file


def config(labeled, parent, tmp_path, **changes) -> TrainConfig:
    values = {"labeled": labeled, "weights": parent, "output": str(tmp_path / "out")}
    return TrainConfig.model_validate(values | {"optimization": {"epochs": 2, "batch_size": 32}} | changes)


def begun(job: run.TrainJob) -> LifterTraining:
    initial = None
    if job.start:
        keep_copy(job.start, job.config.output)
        initial = read_copy(job.config.output, job.config.lifter.name)
    return LifterTraining(job.config, job.plan, load_data(job.config, job.plan, ALONE), ALONE, initial)


def test_it_starts_where_its_parent_ended(labeled, parent, tmp_path):
    job = run.prepare(config(labeled, parent, tmp_path))
    assert job.config.lifter.options["channels"] == 16
    training = begun(job)
    training.restore(None)
    assert job.start is not None
    assert all(torch.equal(job.start.weights[name], value) for name, value in training.model.state_dict().items())


def test_the_card_names_the_parent_and_all_people_that_were_trained_on(labeled, parent, tmp_path):
    job = run.prepare(config(labeled, parent, tmp_path))
    card: LifterCard = run._card(job, {"run_id": "2"})
    assert job.start is not None
    assert card.lineage["parent"] == parent
    assert card.lineage["parent_sha256"] == job.start.sha256 == job.manifest.settings["weights_sha256"]
    assert card.subjects == ["S0", "S1", "S2"]


def test_the_lifter_that_comes_with_raylift_can_be_started_from(tmp_path):
    labeled = write(tmp_path / "labeled", person("a"))
    job = run.prepare(config(labeled, "everyday", tmp_path))
    assert job.config.data.input == "person_centred"
    assert job.config.data.input_layout == "limbs12"
    assert job.start is not None
    assert job.plan.fps == job.start.card.fps


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"lifter": {"name": "temporal_conv", "filter_widths": [3, 3, 3]}},
            "weights of another architecture; expected",
        ),
        ({"lifter": {"name": "residual_mlp"}}, "is a temporal_conv, lifter=residual_mlp; leave lifter out"),
        (
            {"data": {"input_layout": "limbs12"}},
            "its joints of the keypoints are h36m17, this training's limbs12; give",
        ),
        ({"weights": "none.pt"}, "none.pt: cannot be read"),
        ({"optimization": {"learning_rate_factors": ["pose.head*=0"]}}, "pose.head*=0: no parameter has such a name"),
        ({"optimization": {"learning_rate_factors": ["*=0"]}}, "freezes all parameters"),
    ],
)
def test_what_does_not_fit_is_one_line_before_anything_starts(labeled, parent, tmp_path, changes, line):
    with pytest.raises(UserError) as error:
        run.prepare(config(labeled, parent, tmp_path, **changes))
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_other_weights_in_the_same_output_are_refused(labeled, parent, tmp_path):
    first = run.prepare(config(labeled, parent, tmp_path))
    first.manifest.write(first.config.output, "1")
    model_file = tmp_path / "parent.pt"
    content = torch.load(model_file, weights_only=True)
    content["weights"] = {name: value + 1 for name, value in content["weights"].items()}
    torch.save(content, model_file)
    with pytest.raises(UserError, match="was begun with weights_sha256="):
        run.survey(run.prepare(config(labeled, parent, tmp_path)))


def test_frozen_parameters_and_their_statistics_stay_and_slow_ones_move_less(labeled, parent, tmp_path):
    def moved(*factors):
        options = {"epochs": 2, "batch_size": 32, "learning_rate_factors": factors}
        training = begun(run.prepare(config(labeled, parent, tmp_path, optimization=options)))
        training.restore(None)
        before = {name: value.clone() for name, value in training.model.state_dict().items()}
        training.run_epoch()
        after = training.model.state_dict()
        return {name: float((after[name] - before[name]).abs().max()) for name in before if "momentum" not in name}

    free, slowed = moved(), moved("pose.*=0", "pose.shrink*=0.01")
    shrink = {name for name in free if name.startswith("pose.shrink")}
    assert shrink
    assert all(distance > 0 for distance in free.values())
    assert {name for name, distance in slowed.items() if distance} == shrink
    assert all(slowed[name] < 0.1 * free[name] for name in shrink)


def test_a_training_that_is_given_more_epochs_goes_on(labeled, tmp_path):
    def job(epochs):
        return run.prepare(small(labeled, None, tmp_path / "out", optimization={"epochs": epochs}))

    job(4).manifest.write(job(4).config.output, "1")
    (tmp_path / "out" / "report.json").write_text('{"epochs": 4}')
    assert run.survey(job(4)).nothing_to_do
    grown = run.survey(job(6))
    assert (grown.nothing_to_do, grown.finished_epochs, grown.run_id) == (False, 4, "1")
    with pytest.raises(UserError, match=r"was begun with optimization.epochs=4, now optimization.epochs=3"):
        run.survey(job(3))


def test_a_parent_that_is_replaced_meanwhile_is_not_trained_from(labeled, parent, tmp_path):
    job = run.prepare(config(labeled, parent, tmp_path))
    Path(parent).write_bytes(Path(parent).read_bytes() + b"x")
    assert job.start is not None
    with pytest.raises(UserError, match="has changed since this job read it; run the same command again"):
        keep_copy(job.start, job.config.output)


def test_the_lifter_that_comes_with_raylift_starts_one_of_the_joints_that_several_cameras_label(tmp_path):
    """It predicts those joints as it did."""
    own, wanted = layout("h36m17"), layout("limbs14")
    matrix = poses_from(own, wanted)
    assert matrix is not None
    track, places = person("a"), joints_from(own, wanted)
    assert track.positions is not None
    assert places is not None
    positions = places @ track.positions
    fewer = replace(track, positions=positions.astype(np.float32), positions_layout="limbs14")
    job = run.prepare(config(write(tmp_path / "labeled", fewer), "everyday", tmp_path))
    training = begun(job)
    training.restore(None)
    assert job.start is not None
    parent, _ = load_lifter(job.start.file)
    inputs = torch.rand(2, 27, 12, 3)
    with torch.no_grad():
        before, after = parent.eval().pose(inputs), training.model.eval().pose(inputs)
    torch.testing.assert_close(after, torch.tensor(matrix, dtype=before.dtype) @ before, atol=1e-5, rtol=1e-5)


def test_joints_that_cannot_be_had_of_the_lifters_are_one_line(labeled, tmp_path):
    track = person("c")
    assert track.positions is not None
    places = [layout("h36m17").index(joint) for joint in layout("humaneva15").joints if joint != "head"]
    other = replace(track, positions=track.positions[:, [*places, 0]], positions_layout="humaneva15")
    tracks = write(tmp_path / "other", other)
    parent = tmp_path / "limbs.pt"
    fewer = replace(track, positions=track.positions[:, :14], positions_layout="limbs14")
    first = run.prepare(small(write(tmp_path / "fewer", fewer), None, tmp_path / "limbs"))
    save_lifter(str(parent), begun(first).model, run._card(first, {"run_id": "1"}))
    with pytest.raises(UserError, match="its joints of the poses are limbs14, this training's humaneva15; train on"):
        run.prepare(config(tracks, str(parent), tmp_path))
