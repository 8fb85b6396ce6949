"""People whom no choice has seen: kept apart from the trials, and scored as the evaluate job does."""

import json
from pathlib import Path

import pytest
from evaluate.lifter_samples import write_lifter
from train.training_samples import person, write
from tune.search_samples import tune_config

from jobs.command_line.arguments import plugin_config
from jobs.command_line.main import run_job
from pipelines.tune.held_out_test import score_test
from pipelines.tune.run import prepare
from schemas.errors import UserError


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a", *(person(f"of {name}", subject=name) for name in ("S1", "S2", "S3")))
    return ["data.subjects=[S1]", "test_subjects=[S3]", f"output={tmp_path}/o"]


def test_the_error_is_that_of_the_evaluate_job(config, tmp_path):
    file = Path("o/trials/002/best.pt")
    file.parent.mkdir(parents=True)
    write_lifter(str(file))
    assert run_job("evaluate", [f"model={file}", "data=a", "subjects=[S3]", "output=e"]) == 0
    expected = json.loads(Path("e/metrics.json").read_text())["average"]["metrics"]["mpjpe_mm"]
    assert score_test(tune_config(*config), 2) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["data.subjects=[S1,S3]"], "test_subjects: S3 is trained on; give data.subjects without it"),
        (["test_subjects=[S2]"], "test_subjects: S2 is what trials are compared by; give another one"),
        (["unlabeled=a"], "test_subjects: S3 is among the unlabeled tracks; give data.unlabeled_subjects without it"),
        (["test_subjects=[S4]"], "S4"),
    ],
)
def test_a_test_on_people_who_were_seen_is_refused(config, fields, message):
    with pytest.raises(UserError, match=message):
        prepare(tune_config(*config, *fields, "asha.grace_epochs=6"), plugin_config)
    assert prepare(tune_config(*config), plugin_config).config.test_subjects == ("S3",)
