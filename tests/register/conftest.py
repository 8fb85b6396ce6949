"""Registering over HTTP, on the session's MLflow server."""

import pytest
from train.training_samples import person, write


@pytest.fixture
def over_http(own_tracking_store, mlflow_server, tmp_path, monkeypatch):
    """Lets a test, and the commands that it starts, use the server, from a folder and a cache of its own."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(mlflow_server)
    return mlflow_server


@pytest.fixture
def corpus(over_http, tmp_path):
    write(tmp_path / "tracks", person("a", 40), person("b", 30, subject="S2"))
    return "tracks"


@pytest.fixture
def name(request):
    """A registered model of the test's own; the server is one for all."""
    return request.node.name.partition("[")[0].replace("_", "-")
