"""The addresses of a tracking server's pages, and a local database that several jobs begin with."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import mlflow
import pytest

from pipelines.mlflow_runs import tracking_server


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("http://me:secret@mlflow:5000/prefix/", "http://mlflow:5000/prefix/#/experiments/7/runs/"),
        ("https://mlflow.example.org", "https://mlflow.example.org/#/experiments/7/runs/"),
        ("sqlite:///mlflow.db", None),
    ],
)
def test_pages_of_runs_are_those_of_the_server_without_its_password(own_tracking_store, address, page):
    mlflow.set_tracking_uri(address)
    assert tracking_server.runs_page("7") == page
    assert tracking_server.runs_page("") is None


def test_jobs_make_the_tables_of_a_local_database_one_after_the_other(tmp_path: Path) -> None:
    address, entered = f"sqlite:///{tmp_path}/mlflow.db", threading.Event()

    def enter() -> None:
        with tracking_server._alone_in(address):
            entered.set()

    other = threading.Thread(target=enter)
    with tracking_server._alone_in(address):
        other.start()
        with tracking_server._alone_in(f"sqlite:///{tmp_path}/another.db"):
            assert not entered.wait(0.1)
    assert entered.wait(10)
    other.join()


@pytest.mark.slow  # each of three processes imports MLflow and makes or checks all tables of a database
def test_three_jobs_begin_with_one_new_database(tmp_path: Path) -> None:
    code = "from pipelines.mlflow_runs import experiments, tracking_server as t; t.connect(); experiments.use()"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    jobs = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [job.wait() for job in jobs] == [0, 0, 0]
