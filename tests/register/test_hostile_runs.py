"""Addresses that runs and outputs of others name: no web server is asked, such as a cloud's of this machine."""

import socket

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
