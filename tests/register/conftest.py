"""Registering over HTTP, on the session's MLflow server."""

import pytest


@pytest.fixture
def over_http(own_tracking_store, mlflow_server, tmp_path, monkeypatch):
    """Lets a test, and the commands that it starts, use the server, from a folder and a cache of its own."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(mlflow_server)
    return mlflow_server
