"""What a run says of how it was made and how it ended, and of what MLflow refuses or has deleted."""

import json
import logging
import os
import subprocess

import mlflow
import pytest
from mlflow.artifacts import load_text

from jobs.command_line.arguments import read_config
from pipelines.mlflow_runs import environment, names, runs
from schemas.configs.label import LabelConfig
from schemas.errors import RunFailed, UserError

CONFIG = LabelConfig(videos="v", output="out")


def history(record, metric):
    entries = mlflow.MlflowClient().get_metric_history(record.run_id, metric)
    return [(entry.step, entry.value) for entry in entries]


def test_a_job_that_fails_keeps_its_last_lines_without_secrets(server):
    def fails():
        logging.getLogger("raylift").warning("failed: https://host/a.mp4?token=abc")
        raise RunFailed("s3://user:password@bucket is full")

    with pytest.raises(RunFailed), runs.record("label", CONFIG) as record:
        fails()
    logging.getLogger("raylift").warning("after it")
    text = load_text(f"runs:/{record.run_id}/last_lines.txt") or ""
    first, *_, last = text.strip().splitlines()
    assert first.endswith("WARNING raylift: failed: https://host/a.mp4?token=…")
    assert "in fails" in text
    assert last == "schemas.errors.RunFailed: s3://…@bucket is full"


def test_a_run_holds_what_it_takes_to_repeat_it(server, monkeypatch, tmp_path):
    for command in ("init -q", "config user.email a@b", "config user.name a", "add .", "commit -qm one --allow-empty"):
        subprocess.run(["git", "-C", tmp_path, *command.split()], check=True)
    (tmp_path / "code.py").write_text("new = 1\n")
    subprocess.run(["git", "-C", tmp_path, "add", "."], check=True)
    monkeypatch.setattr(environment, "_CLONE", tmp_path)
    monkeypatch.setattr(environment, "_GIT", ("git", "-C", str(tmp_path)))
    monkeypatch.setenv("RAYLIFT_IMAGE", "registry/raylift:1")
    with runs.record("label", LabelConfig(videos="https://host/a.mp4?token=abc", output="out")) as record:
        pass
    place = f"runs:/{record.run_id}"
    document = json.loads(load_text(f"{place}/environment.json") or "")
    assert document["packages"]["mlflow"] == mlflow.__version__
    assert len(document["packages"]) > 50
    assert document["image"] == "registry/raylift:1"
    assert len(document["commit"]) == 40
    assert "+new = 1" in (load_text(f"{place}/uncommitted.diff") or "")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(load_text(f"{place}/recipe.yaml") or "")
    assert "abc" not in recipe.read_text()
    again = read_config(LabelConfig, [str(recipe), "videos=b.mp4"], resolve=str)
    assert again == read_config(LabelConfig, ["videos=b.mp4", "output=out"], resolve=str)


def test_without_a_clone_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "_CLONE", tmp_path)
    assert environment.environment()["commit"] is None
    assert environment.uncommitted() == ""


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("action/Sit (on a chair)/mpjpe_mm", "action/Sit _on a chair_/mpjpe_mm"),
        ("action/走る: 1.5/mpjpe_mm", "action/走る: 1.5/mpjpe_mm"),
        ("a//b/../c", "a/_/b/_/c"),
        ("", "_"),
        ("x" * 300, "x" * 250),
    ],
)
def test_names_that_mlflow_refuses_are_written_in_others(own_tracking_store, name, allowed):
    assert names.allowed(name) == allowed
    mlflow.set_experiment("names")
    with mlflow.start_run():
        mlflow.log_metric(allowed, 1.0)
        mlflow.log_param(allowed, 1.0)


def test_a_job_goes_on_in_a_new_run_where_its_own_was_deleted(server):
    with runs.record("label", CONFIG) as first:
        pass
    mlflow.delete_run(first.run_id)
    with runs.record("label", CONFIG, run_id=first.run_id) as second:
        second.log_metrics({"clips": 1.0})
    assert second.run_id != first.run_id
    assert history(second, "clips") == [(0, 1.0)]


def test_a_name_that_mlflow_refuses_is_one_line(own_tracking_store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "x" * 600)
    with pytest.raises(UserError, match=r"^MLFLOW_EXPERIMENT_NAME=x{40}: MLflow refuses this name: .*; give another$"):
        runs.record("label", CONFIG).__enter__()


def test_a_deleted_experiment_is_one_line(own_tracking_store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "gone")
    number = mlflow.create_experiment("gone")
    mlflow.delete_experiment(number)
    with (
        pytest.raises(UserError, match=f"=gone: this experiment was deleted; .* --experiment-id {number}"),
        runs.record("label", CONFIG),
    ):
        pass


def test_nobody_is_told_how_mlflow_is_used(monkeypatch):
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    for name in ("CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(name, raising=False)
    assert is_telemetry_disabled()
