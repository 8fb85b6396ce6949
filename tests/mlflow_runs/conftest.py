"""A tracking server behind a proxy, which a test can make fail."""

import mlflow
import pytest
from cluster.store_proxy import Proxy


@pytest.fixture
def server(own_tracking_store, mlflow_server, monkeypatch):
    """The proxy; no longer patient with it than needed."""
    proxy = Proxy(mlflow_server)
    for name, value in (("TRACKING_URI", proxy.address), ("HTTP_REQUEST_MAX_RETRIES", "0")):
        monkeypatch.setenv(f"MLFLOW_{name}", value)
    mlflow.set_tracking_uri(proxy.address)
    yield proxy
    proxy.close()
