"""Runs on a server that is away for a while, behind a proxy that refuses connections."""

import mlflow
import pytest
from cluster.store_proxy import Proxy
from mlflow.artifacts import load_text
from mlflow.exceptions import MlflowException

from pipelines.mlflow_runs import runs
from schemas.configs.label import LabelConfig
from schemas.errors import RunFailed

CONFIG = LabelConfig(videos="v", output="out")


@pytest.fixture
def server(own_tracking_store, mlflow_server, monkeypatch):
    """The proxy; no longer patient with it than needed."""
    proxy = Proxy(mlflow_server)
    for name, value in (("TRACKING_URI", proxy.address), ("HTTP_REQUEST_MAX_RETRIES", "0")):
        monkeypatch.setenv(f"MLFLOW_{name}", value)
    mlflow.set_tracking_uri(proxy.address)
    yield proxy
    proxy.close()


def away(number, method, path):
    return "reset"


def back(number, method, path):
    return None


def history(record, metric):
    found = mlflow.MlflowClient().get_metric_history(record.run_id, metric)
    return [(entry.step, entry.value) for entry in found]


def test_what_a_server_misses_it_is_told_when_it_is_back(server, caplog):
    with runs.record("train", CONFIG) as record:
        record.log_metrics({"loss": 3.0}, step=1)
        server.fault = away
        record.log_metrics({"loss": 2.0}, step=2)
        record.log_tags({"raylift.data": "abc"})
        record.log_json({"epochs": 3}, "report.json")
        server.fault = back
        record.log_metrics({"loss": 1.0}, step=3)
    assert history(record, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    found = mlflow.get_run(record.run_id)
    assert (found.info.status, found.data.tags["raylift.data"]) == ("FINISHED", "abc")
    assert load_text(f"runs:/{record.run_id}/report.json") == '{\n  "epochs": 3\n}'
    (line,) = caplog.messages
    assert line.startswith(f"MLFLOW_TRACKING_URI={server.address}: the tracking server cannot be used: ")
    assert "the job goes on" in line


def test_a_server_that_stays_away_costs_no_job(server, caplog):
    with runs.record("label", CONFIG) as record:
        server.fault = away
        record.log_metrics({"clips": 3})
        record.log_bytes(b"weights", "best.pt")
    assert caplog.messages[1:] == ["the MLflow run lacks the last 3 entries of the job; its output is complete"]
    server.fault = back
    # The process is in no run any more.
    with runs.record("label", CONFIG) as another:
        assert another.run_id != record.run_id


def test_a_trial_that_cannot_be_recorded_is_told_in_one_line(server):
    with runs.record("tune", CONFIG) as record:
        server.fault = away
        with pytest.raises(RunFailed, match="the tracking server cannot be used"):
            record.child("trial", {}, {})
        server.fault = back


def test_nonsense_is_a_bug_and_not_kept_for_later(server):
    with runs.record("label", CONFIG) as record:
        with pytest.raises(MlflowException, match="length"):
            record.log_metrics({"x" * 300: 1.0})
        record.log_metrics({"clips": 1.0})
    assert history(record, "clips") == [(0, 1.0)]


def test_a_job_that_fails_is_a_run_that_failed(server):
    with pytest.raises(RunFailed), runs.record("label", CONFIG) as record:
        raise RunFailed("disk full")
    assert mlflow.get_run(record.run_id).info.status == "FAILED"
