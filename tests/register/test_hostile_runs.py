"""Addresses that runs and outputs of others name: no web server is asked, such as a cloud's of this machine."""

import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import pytest

from pipelines.lineage.trace import trace
from pipelines.mlflow_runs.history import History, JobRun, Reading
from pipelines.register import lineage, source
from schemas.configs.register import RegisterConfig
from schemas.errors import UserError


@pytest.fixture
def server():
    """The address of a web server, and whether it was asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)

        def was_asked() -> bool:
            try:
                listening.accept()[0].close()
            except TimeoutError:
                return False
            return True

        yield f"http://127.0.0.1:{listening.getsockname()[1]}/tracks", was_asked


def test_the_tracks_that_a_training_names_are_not_looked_for_on_web_servers(server):
    address, was_asked = server
    entry = lineage._tracks("labeled", address)
    assert "the training names a web server, which is not asked" in entry["error"]
    assert not was_asked()


def test_neither_are_those_that_runs_name(server):
    address, was_asked = server
    read = JobRun("id", "train", "train", {"output": "/out"}, {}, {}, (Reading("training", (address,), "d"),))
    lineage_of_video = trace("/films/a.mp4", History(runs=(read,), versions=(), trained=()))
    (note,) = lineage_of_video.notes
    assert "a run names a web server, which is not asked" in note
    assert not was_asked()


def test_nor_is_the_output_of_a_run(server):
    address, was_asked = server
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("of somebody else")
    run = client.create_run(experiment, tags={source.JOB_TAG: "train"}).info.run_id
    client.log_param(run, "output", address)
    client.set_terminated(run)
    with pytest.raises(UserError, match=f"run={run} names a web server, which is not asked"):
        source.find_source(RegisterConfig(name="lifter", run=run))
    assert not was_asked()


def run_with(name, write, tmp_path) -> str:
    """The id of a training of somebody else that has logged a file or folder of this name."""
    client, made = mlflow.MlflowClient(), tmp_path / "logged"
    made.mkdir()
    write(made / name)
    experiment = client.create_experiment(f"of somebody else {tmp_path.name}")
    run = client.create_run(experiment, tags={source.JOB_TAG: "train"}).info.run_id
    client.log_artifacts(run, str(made))
    client.set_terminated(run)
    return run


def a_hole(path):
    """A file of 10 TB that takes no place."""
    with path.open("wb") as file:
        file.truncate(10**13)


def a_folder(path):
    path.mkdir()
    (path / "anything").write_text("x")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (a_hole, r"report.json: cannot be read: 10,000,000,000,000 bytes, the memory of this machine takes"),
        (a_folder, "report.json: cannot be read: is a folder"),
        (lambda path: path.write_text("[1]"), "report.json: is damaged"),
        (lambda path: path.write_text('{"best_validation_mpjpe_mm": "\\u001b[2J"}'), "report.json: is damaged"),
        (lambda path: path.write_text('{"best_kendalls_tau": {}}'), "report.json: is damaged"),
    ],
    ids=["10 TB", "a folder", "a list", "a text as score", "a dict as score"],
)
def test_the_report_of_a_run_is_looked_at_before_it_is_copied(write, message, tmp_path, monkeypatch):
    copied = mlflow.MlflowClient.download_artifacts

    def no_hole(client, run_id, path, folder):
        assert write not in (a_hole, a_folder)
        return copied(client, run_id, path, folder)

    monkeypatch.setattr(mlflow.MlflowClient, "log_artifacts", _in_place)
    monkeypatch.setattr(mlflow.MlflowClient, "download_artifacts", no_hole)
    with pytest.raises(UserError, match=message) as error:
        source._logged(run_with(source.REPORT, write, tmp_path))
    assert "\n" not in str(error.value)


def test_a_folder_in_place_of_a_model_is_not_copied(tmp_path):
    with pytest.raises(UserError, match=r"best.pt: cannot be read: is a folder"):
        source._of_run(run_with(source.BEST, a_folder, tmp_path))


def _in_place(client, run_id, folder):
    """Move files to where a run has its own: copies of holes are full."""
    place = Path(unquote(urlsplit(client.get_run(run_id).info.artifact_uri).path))
    place.parent.mkdir(parents=True, exist_ok=True)
    Path(folder).rename(place)
