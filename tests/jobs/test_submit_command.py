"""What `raylift submit …` checks here and sends to a cluster, without one; tests/cluster has the real thing."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import submit
from jobs.command_line import arguments, durability, main
from jobs.command_line.job_list import config_class
from jobs.command_line.ordered_version import ORDERED_BY
from jobs.command_line.submit_arguments import OWN_FIELDS, read_submit_config, submittable
from pipelines.ray_cluster import sent_files
from schemas import __version__
from schemas.configs.label import LabelConfig
from schemas.configs.submit import SubmitConfig
from schemas.configs.train import TrainConfig
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


@pytest.mark.parametrize("text", ["a b", "it's", "*.mp4", "001", "null", "$HOME", "a: b", "run #1", "ü"])
def test_any_text_arrives_as_it_was(text, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"link: {{min_observations: 4}}\ndetector: blazepose\noutput: {json.dumps('s3://b/' + text)}\n")
    sent = order("label", f"videos={text}", str(recipe))
    config = arguments.read_config(LabelConfig, shlex.split(sent.entrypoint)[3:], resolve=str)
    assert (config.videos, config.output, config.link.min_observations) == (text, f"s3://b/{text}", 4)


def test_lists_arrive_as_they_were(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("data: {subjects: [01, 'a, b', no, '[x]'], downsample: 2}\n")
    sent = order("train", "labeled=[s3://b/1, s3://b/#2]", "output=s3://b/o", str(recipe), "lifter.filter_widths=[3,3]")
    config = arguments.read_config(TrainConfig, shlex.split(sent.entrypoint)[3:], resolve=str)
    assert config.labeled == ("s3://b/1", "s3://b/#2")
    assert config.data.subjects == ("01", "a, b", "no", "[x]")
    assert config.lifter.options["filter_widths"] == (3, 3)


def test_quoted_text_that_a_command_line_cannot_say_is_refused(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("videos: '[x]'\noutput: s3://b/o\n")
    with pytest.raises(UserError, match=r"videos=\[x\]: on a command line this is no text"):
        order("label", str(recipe))


def test_submit_and_the_jobs_share_no_field():
    for name in submittable():
        assert not {path.partition(".")[0] for path, _ in paths(config_class(name))} & OWN_FIELDS, name


def test_what_a_job_gets_of_this_machine():
    sent = order(*LABEL, "env=[WANTED]", WANTED="1", OTHER="2", MLFLOW_TRACKING_URI="http://mlflow:5000")
    variables = sent.runtime_env["env_vars"]
    assert variables.pop(ORDERED_BY) == __version__
    assert variables == {durability.SUBMITTED: "1", "MLFLOW_TRACKING_URI": "http://mlflow:5000", "WANTED": "1"}


def sent(folder, *words):
    """Names of the files of a folder that are sent."""
    asked = order(*LABEL, *words)
    with sent_files.staged(replace(asked, runtime_env={"working_dir": str(folder)})) as staged:
        copy = Path(staged.runtime_env["working_dir"])
        assert copy != folder
        return {file.relative_to(copy).as_posix() for file in copy.rglob("*") if file.is_file()}


def test_of_the_clone_the_package_is_sent_and_nothing_else():
    root = Path(order(*LABEL).runtime_env["working_dir"])
    (root / "keys.env").write_text("AWS_SECRET_ACCESS_KEY=planted-key\n")
    try:
        files = sent(root)
    finally:
        (root / "keys.env").unlink()
    assert {"jobs/label.py", "pipelines/io/secrets.py", "jobs/recipes/tune_small.yaml", "pyproject.toml"} <= files
    assert "pipelines/lifters/shipped/everyday.pt" in files
    assert not {file for file in files if not file.startswith(("jobs/", "pipelines/", "schemas/", "pyproject.toml"))}


def test_of_a_folder_of_ones_own_code_is_sent_and_no_keys(tmp_path):
    for name in (
        *("plugin.py", "package/tokens.py", "settings.yaml", "built/made.py", "film.mp4", "weights.pt", "old/a.py"),
        *(
            ".env",
            "keys.env",
            "prod.env",
            "key.pem",
            "id_rsa",
            "credentials.json",
            ".aws/credentials",
            "my-secret.yaml",
        ),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text("built/\n")
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    code = {"plugin.py", "package/tokens.py", "settings.yaml"}
    assert sent(tmp_path) == code | {"old/a.py"}
    assert sent(tmp_path, 'includes=["*.pt", "*.env"]', "excludes=[old]") == code | {"weights.pt"}
    files = sent_files.files_to_send(tmp_path, (), ())
    assert sent_files.size_of(tmp_path, files) == f"4 files, 0.0 MB, of {tmp_path}"


@pytest.mark.parametrize(
    "videos",
    ["https://h/a.mp4?X-Amz-Signature=planted-key", "https://planted-key@h/a.mp4", "https://h/a.mp4?jwt=planted-key"],
)
def test_a_secret_in_the_command_is_refused_by_the_name_of_its_field(videos):
    with pytest.raises(UserError, match="videos: holds a signed address or a password") as refused:
        order("label", f"videos={videos}", "output=s3://b/o")
    assert "planted-key" not in str(refused.value)


def test_a_log_of_others_drives_no_terminal_and_tells_no_secret(capsys):
    submit.write("10 %\r100 %\n\x1b[2Jat https://me:planted-key@h/a\n")
    assert capsys.readouterr().out == "10 %\\r100 %\n\\x1b[2Jat https://…@h/a\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "begin with a job (align, compare, "),
        (["videos=x", "output=y"], "begin with a job"),
        (["labl", "videos=x"], "there is no job 'labl' to submit; jobs: align, compare, "),
        (["submit", "label"], "there is no job 'submit' to submit"),
        (["status"], "submit status: takes the id of one job"),
        (["list", "x"], "submit list: takes nothing more"),
        ([*LABEL, "follow=maybe"], "follow=maybe: "),
        ([*LABEL, "detector=blazepos"], "unknown plug-in 'blazepos'"),
        ([*LABEL, "detector=./det.py:Mine"], "plug-in './det.py:Mine' is no package.module:Class; for a class Mine"),
        ([*LABEL, "detector=:"], "plug-in ':' is no package.module:Class"),
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


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "http://localhost:5000", "http://[::1]:5000"])
def test_a_server_of_this_machine_is_none_of_a_cluster_elsewhere(uri):
    with pytest.raises(UserError, match="which the cluster at http://head:8265 does not reach"):
        order(*LABEL, "address=http://head:8265", MLFLOW_TRACKING_URI=uri)
    with pytest.raises(UserError, match="is an address of this machine"):
        order(*LABEL, MLFLOW_TRACKING_URI=uri, RAY_API_SERVER_ADDRESS="http://head:8265")
    for here in (["address=http://127.0.0.1:8265"], []):
        assert order(*LABEL, *here, MLFLOW_TRACKING_URI=uri).runtime_env["env_vars"]["MLFLOW_TRACKING_URI"] == uri


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


def test_a_cluster_with_another_raylift_runs_no_order_of_this_one(monkeypatch, capfd):
    monkeypatch.setenv(ORDERED_BY, "9.9.9")
    assert main.run_job("label", ["videos=clips", "output=out"]) == 2
    assert (
        f"label: {ORDERED_BY}=9.9.9: submit is Raylift 9.9.9, the cluster has {__version__}" in capfd.readouterr().err
    )


def test_an_address_that_is_none(capfd):
    assert main.run_job("submit", ["list", "address=head:8265"]) == 2
    assert "address=head:8265: is no job server; give http://head:8265" in capfd.readouterr().err
    for broken in ("http://[::1", "http://head:99999"):
        assert main.run_job("submit", ["list", f"address={broken}"]) == 2
        assert f"address={broken}: is no address: " in capfd.readouterr().err
    assert main.run_job("submit", ["list", "address=http://127.0.0.1:9"]) == 1
    assert "address=http://127.0.0.1:9: no job server answers: " in capfd.readouterr().err
    assert SubmitConfig.model_fields["follow"].default is True
