"""What `raylift submit …` checks here and sends to a cluster, without one; tests/cluster has the real thing."""

import re
import shlex

import pytest

from jobs import submit
from jobs.command_line import arguments, durability, main
from jobs.command_line.job_list import config_class
from jobs.command_line.submit_arguments import OWN_FIELDS, read_submit_config, submittable
from schemas.configs.label import LabelConfig
from schemas.configs.submit import SubmitConfig
from schemas.errors import UserError
from schemas.job_config import paths

LABEL = ["label", "videos=s3://bucket/clips", "output=s3://bucket/out"]


def order(*words, **environment):
    return submit.compose(read_submit_config(words), environment)


def test_the_command_on_the_cluster_is_the_one_given_here(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("detector: {name: blazepose, tiles: 2}\ndecode: {max_side: 640}\n")
    sent = order(*LABEL, str(recipe), "decode.max_side=960", "address=http://head:8265", "follow=false")
    python, m, job, *given = shlex.split(sent.entrypoint)
    assert (python, m, job) == ("python", "-m", "jobs.label")
    # The recipe need not be there; what it said is.
    config = arguments.read_config(LabelConfig, given)
    assert config == arguments.read_config(LabelConfig, [*LABEL[1:], str(recipe), "decode.max_side=960"])
    assert config.decode.max_side == 960
    assert sent.metadata["raylift.job"] == "label"
    assert re.fullmatch(r"label-\d{8}-\d{6}-[0-9a-f]{4}", sent.id)


@pytest.mark.parametrize("text", ["a b", "it's", "*.mp4", "1", "null", "[x]", "$HOME", "a: b", "ü"])
def test_any_text_arrives_as_it_was(text):
    sent = order("label", f"videos='{text}'" if "'" not in text else f"videos={text}", "output=s3://b/o")
    assert arguments.read_config(LabelConfig, shlex.split(sent.entrypoint)[3:], resolve=str).videos == text


def test_submit_and_the_jobs_share_no_field():
    for name in submittable():
        assert not {path.partition(".")[0] for path, _ in paths(config_class(name))} & OWN_FIELDS, name


def test_what_a_job_gets_of_this_machine():
    sent = order(*LABEL, "env=[WANTED]", WANTED="1", OTHER="2", MLFLOW_TRACKING_URI="http://mlflow:5000")
    variables = sent.runtime_env["env_vars"]
    assert variables == {durability.SUBMITTED: "1", "MLFLOW_TRACKING_URI": "http://mlflow:5000", "WANTED": "1"}


def test_the_program_goes_along_and_nothing_big(tmp_path):
    sent = order(*LABEL, "excludes=[films]")
    root = sent.runtime_env["working_dir"]
    assert (tmp_path.parent / root / "jobs" / "label.py").is_file()
    assert {".venv", "mlruns", "*.mp4", "films"} <= set(sent.runtime_env["excludes"])
    assert order(*LABEL, f"working_dir={tmp_path}").runtime_env["working_dir"] == str(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "begin with a job (compare, "),
        (["videos=x", "output=y"], "begin with a job"),
        (["labl", "videos=x"], "there is no job 'labl' to submit; jobs: compare"),
        (["submit", "label"], "there is no job 'submit' to submit"),
        (["status"], "submit status: takes the id of one job"),
        (["list", "x"], "submit list: takes nothing more"),
        ([*LABEL, "follow=maybe"], "follow=maybe: "),
        ([*LABEL, "detector=blazepos"], "unknown plug-in 'blazepos'"),
        (["label", "videos=s3://b/c", "output=out"], "output=out: on a cluster a relative path vanishes with it"),
        ([*LABEL, "env=[NOT_SET_HERE]"], "env=[NOT_SET_HERE]: NOT_SET_HERE is not set here"),
        (["label", "missing.yaml"], "missing.yaml: the recipe cannot be read"),
    ],
)
def test_a_wrong_command_never_reaches_the_cluster(words, message):
    with pytest.raises(UserError) as wrong:
        order(*words)
    assert message in str(wrong.value)


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "file:///mlruns", "/mlruns"])
def test_a_file_of_this_machine_is_no_tracking_server(uri):
    with pytest.raises(UserError, match="on a cluster MLflow's file vanishes with it"):
        order(*LABEL, MLFLOW_TRACKING_URI=uri)


def test_a_password_is_not_sent_where_a_dashboard_shows_it():
    with pytest.raises(UserError) as refused:
        order(*LABEL, MLFLOW_TRACKING_URI="http://me:planted-key@mlflow:5000")
    assert "MLFLOW_TRACKING_URI: holds a password" in str(refused.value)
    assert "planted-key" not in str(refused.value)


def test_a_submitted_job_writes_nothing_that_vanishes(monkeypatch, capfd):
    monkeypatch.setenv(durability.SUBMITTED, "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert main.run_job("label", ["videos=clips", "output=out"]) == 2
    assert "label: output=out: on a cluster a relative path vanishes with it" in capfd.readouterr().err
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert main.run_job("label", ["videos=clips", "output=/shared/out"]) == 2
    assert "label: MLFLOW_TRACKING_URI is not set: on a cluster MLflow's file vanishes" in capfd.readouterr().err


def test_an_address_that_is_none(capfd):
    assert main.run_job("submit", ["list", "address=head:8265"]) == 2
    assert "address=head:8265: is no job server; give http://head:8265" in capfd.readouterr().err
    assert main.run_job("submit", ["list", "address=http://127.0.0.1:9"]) == 1
    assert "address=http://127.0.0.1:9: no job server answers: " in capfd.readouterr().err
    assert SubmitConfig.model_fields["follow"].default is True
