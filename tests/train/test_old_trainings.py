"""A training that version 0.1.0 wrote is opened and resumed; `written_by_0_1_0/README.md` says how it was made."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from train.test_loop import training

from jobs.command_line.main import run_job
from pipelines.lifters.checkpoint import load_lifter
from pipelines.train import run
from pipelines.training import checkpoints
from pipelines.training.worker import _restore
from schemas.configs.train import TrainConfig
from schemas.errors import UserError

EPOCHS = 60
OPTIONS = {"causal": False, "scores": False, "dense": False}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the outputs, which name their tracks by addresses relative to it."""
    shutil.copytree(Path(__file__).with_name("written_by_0_1_0"), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(folder, output="out", epochs=EPOCHS, **fields) -> TrainConfig:
    """The config of the command that the version was given."""
    return TrainConfig.model_validate(
        {
            **{name: str(folder / name) for name in ("labeled", "unlabeled")},
            **{"output": str(folder / output), "data": {"validation_subjects": ["S2"]}},
            "lifter": {"name": "temporal_conv", "filter_widths": [3, 3], "channels": 8, "dropout": 0.25, **OPTIONS},
            "optimization": {"epochs": epochs, "batch_size": 32},
            **fields,
        }
    )


def state(output):
    [_, last] = checkpoints.find(str(output))
    return torch.load(last.file(checkpoints.STATE_FILE), weights_only=True)


def test_a_finished_training_is_finished(folder):
    work = run.survey(run.prepare(config(folder, "finished", 3)))
    assert work.nothing_to_do
    assert work.report is not None
    assert work.report["version"] == "0.1.0"


def test_a_killed_training_goes_on_as_the_version_itself_would_have(folder):
    job = run.prepare(config(folder))
    assert not run.survey(job).nothing_to_do
    resumed = training(job.config)
    resumed.restore(state(folder / "out"))
    assert len(resumed.history) == 11
    # What version 0.1.0 got, from the same checkpoint.
    reports = [resumed.run_epoch() for _ in range(4)]
    assert reports[0].validation["mpjpe_mm"] == pytest.approx(674.769, rel=1e-4)
    assert [reports[place].losses["total"] for place in (0, 3)] == pytest.approx([5.35881, 5.16658], rel=1e-4)


def test_its_lifters_are_read(folder):
    _, card = load_lifter(checkpoints.find(str(folder / "out"))[-1].file("lifter.pt"))
    assert (card.version, card.fps, card.window.inputs, card.input) == ("0.1.0", 50, 9, "screen")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objective": {"scale_free": 1}}, r"was begun with objective.scale_free=0.0, now objective.scale_free=1.0"),
        ({"data": {"chunk": 3, "validation_subjects": ["S2"]}}, r"was begun with data.chunk=1, now data.chunk=3"),
    ],
)
def test_what_the_version_did_otherwise_is_refused(folder, fields, message):
    with pytest.raises(UserError, match=message + r".*; give the same settings to continue, or another output"):
        run.survey(run.prepare(config(folder, **fields)))


def test_a_checkpoint_of_another_network_is_one_line(folder):
    other = config(folder, lifter={"name": "temporal_conv", "filter_widths": [3, 3, 3], "channels": 8})
    for broken in (state(folder / "out"), {"model": {}}):
        with pytest.raises(
            UserError, match=r"^output=o: its checkpoints are not of this training's network \([^\n]*\);"
        ):
            _restore(training(other), "o", broken)


# That the version's training goes on to its own numbers is shown above; that the job goes on from a checkpoint, by
# tests/jobs/test_train.py.
@pytest.mark.slow
@pytest.mark.ray
def test_the_same_command_resumes_it(folder, embedded_ray, capsys):
    command = ["labeled=labeled", "unlabeled=unlabeled", "output=out", "data.validation_subjects=[S2]"]
    command += ["lifter.filter_widths=[3,3]", "lifter.channels=8", f"optimization.epochs={EPOCHS}"]
    assert run_job("train", [*command, "optimization.batch_size=32", "resources.cpus_per_worker=1"]) == 0
    report = json.loads((folder / "out" / "report.json").read_text())
    assert report["epochs"] == EPOCHS
    assert report["last"]["loss"]["total"] == pytest.approx(4.72614, rel=1e-3)
