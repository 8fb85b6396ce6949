"""A search, and a comparison, may start from a lifter, as a training may."""

import json
from pathlib import Path

import pytest
import torch
from train.test_start_from_lifter import begun
from train.training_samples import person, small, write
from tune.search_samples import tune_config

from jobs.command_line.arguments import plugin_config, read_config
from jobs.command_line.main import run_job
from pipelines.lifters.checkpoint import save_lifter
from pipelines.search.trial_values import trial_config
from pipelines.train import run as training
from pipelines.train.initial_weights import keep_copy
from pipelines.tune.run import prepare, survey
from schemas.configs.compare import CompareConfig
from schemas.errors import UserError


@pytest.fixture
def fields(tmp_path, monkeypatch):
    """The fields of a search over people of whom the lifter parent.pt knows S0 and S3."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a", *(person(f"of {name}", subject=name) for name in ("S1", "S2", "S3")))
    job = training.prepare(small("a", None, tmp_path / "first"))
    card = training._card(job, {"run_id": "1"}).model_copy(update={"lineage": {"subjects": '["S0", "S3"]'}})
    save_lifter(str(tmp_path / "parent.pt"), begun(job).model, card)
    return ["weights=parent.pt", "data.subjects=[S1]", f"output={tmp_path}/o", "optimization.epochs=6"]


def test_trials_start_from_a_copy_of_the_lifter_with_its_values(fields, tmp_path):
    job = prepare(tune_config(*fields), plugin_config)
    assert job.start is not None
    keep_copy(job.start, job.config.output)
    trial = trial_config(job.config, {"optimization.learning_rate": 1e-3}, f"{tmp_path}/o/trials/001")
    assert (trial.lifter.options["channels"], trial.weights) == (16, f"{tmp_path}/o/initial.pt")
    Path("parent.pt").unlink()
    begins = begun(training.prepare(trial))
    begins.restore(None)
    assert all(torch.equal(job.start.weights[name], value) for name, value in begins.model.state_dict().items())


def test_another_lifter_in_the_same_output_is_refused(fields):
    job = prepare(tune_config(*fields), plugin_config)
    job.manifest.write(job.config.output, "run", "search.json")
    assert survey(prepare(tune_config(*fields), plugin_config)).run_id == "run"
    content = Path("parent.pt").read_bytes()
    Path("other.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"was begun with weights=\S+/parent.pt, now weights=\S+/other.pt"):
        survey(prepare(tune_config(*fields[1:], "weights=other.pt"), plugin_config))
    with pytest.raises(UserError, match=r"was begun with data.fps=50.0, now data.fps=none"):
        survey(prepare(tune_config(*fields[1:], "lifter.filter_widths=[3,3]", "lifter.channels=16"), plugin_config))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["test_subjects=[S3]"], r"test_subjects: weights=\S+ was trained on S3; give other people, or other weights"),
        (["lifter.filter_widths=[3,3]", "lifter.channels=8"], r"weights=\S+: .*(8|16)"),
        (["weights=none.pt"], r"weights=\S+none.pt: cannot be read"),
    ],
)
def test_what_does_not_fit_is_one_line_before_anything_starts(fields, changed, message):
    with pytest.raises(UserError, match=message) as error:
        prepare(tune_config(*fields, *changed), plugin_config)
    assert "\n" not in str(error.value)
    assert not Path("o").exists()


def test_a_comparison_takes_a_lifter_too(fields, tmp_path):
    subjects = ["data.subjects=[S1]", "data.validation_subjects=[S2]", "data.unlabeled_subjects=[S3]"]
    command = ["tracks=a", "output=c", "weights=parent.pt", "test_subjects=[S9]", *subjects]
    config = read_config(CompareConfig, command)
    assert config.weights == f"{tmp_path}/parent.pt"


@pytest.mark.ray
def test_a_search_from_a_lifter_ends_with_its_child(fields, embedded_ray, own_tracking_store):
    space = "search_space={optimization.learning_rate: {choice: [1e-4, 1e-3]}}"
    command = [*fields[:-1], "labeled=a", "data.validation_subjects=[S2]", space, "sampler=grid", "scheduler=none"]
    assert run_job("tune", [*command, "optimization.epochs=1", "optimization.batch_size=32"]) == 0
    report = json.loads(Path("o/report.json").read_text())
    assert [trial["state"] for trial in report["trials"]] == ["finished", "finished"]
