"""One real MLflow server for the tests of this folder: sqlite, artifacts on this disk, a free port of this machine."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from register.registry_samples import mlflow_command


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session")
def serve(tmp_path_factory):
    """Starts `mlflow <arguments> --host … --port …` and waits until it answers; returns its address."""
    started = []

    def start(*arguments, answers="/health"):
        folder, port = tmp_path_factory.mktemp("server"), free_port()
        address = f"http://127.0.0.1:{port}"
        command = [mlflow_command(), *arguments, "--host", "127.0.0.1", "--port", str(port)]
        log = (folder / "log.txt").open("w")
        # MLflow starts uvicorn by name.
        environment = os.environ | {"PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(address + answers, timeout=5).close()
                return address
            except OSError:
                assert process.poll() is None, (folder / "log.txt").read_text()
                assert time.monotonic() < deadline, (folder / "log.txt").read_text()
                time.sleep(0.2)

    yield start
    for process in started:
        # With its workers, of which there is nothing to save.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def mlflow_server(serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    store = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts")
    return serve("server", *store, "--workers", "1")


@pytest.fixture
def over_http(own_tracking_store, mlflow_server, tmp_path, monkeypatch):
    """Lets a test, and the commands that it starts, use the server, from a folder and a cache of its own."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(mlflow_server)
    return mlflow_server
