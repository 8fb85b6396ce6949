"""Jobs that begin while MLflow's server is away."""

import mlflow
import pytest
from mlflow_runs.run_samples import CONFIG, away, back, history

from pipelines.mlflow_runs import runs, tracking_server
from pipelines.mlflow_runs.child_runs import begin_child


@pytest.fixture(autouse=True)
def nothing_reached(monkeypatch):
    """No server has answered to this process yet."""
    monkeypatch.setattr(tracking_server, "_reached", set())


def test_a_job_begins_without_the_server_and_is_recorded_when_it_is_there(server, caplog, monkeypatch):
    server.fault = away
    with runs.record("tune", CONFIG) as record:
        assert record.run_id == ""
        trial = begin_child(record, "trial 001", {"learning_rate": 0.1}, {})
        trial.log_metrics({"loss": 3.0}, step=1)
        record.log_metrics({"loss": 2.0}, step=2)
        trial.end("FINISHED")
        server.fault = back
    (line,) = caplog.messages
    assert line.startswith(f"MLFLOW_TRACKING_URI={server.address}: the tracking server cannot be used: ")
    assert line.endswith("; the job goes on without it, and sends what it has recorded once it is there")
    run, child = mlflow.get_run(record.run_id), mlflow.get_run(trial.run_id)
    assert (run.info.run_name, run.info.status, run.data.tags["raylift.job"]) == ("tune out", "FINISHED", "tune")
    assert run.data.params["output"] == "out"
    assert (history(record, "loss"), history(trial, "loss")) == ([(2, 2.0)], [(1, 3.0)])
    assert (child.info.status, child.data.tags["mlflow.parentRunId"]) == ("FINISHED", record.run_id)
    assert child.info.experiment_id == run.info.experiment_id
    assert record.queue.lost == 0
    # It goes on in its run, and an epoch that is known is not logged again.
    monkeypatch.setattr(tracking_server, "_reached", set())
    server.fault = away
    with runs.record("tune", CONFIG, record.run_id) as again:
        again.log_metrics({"train": {"loss_total": 1.0}}, step=3)
        server.fault = back
    assert again.run_id == record.run_id
    assert history(again, "train/loss_total") == [(3, 1.0)]


def test_a_job_whose_server_never_comes_says_what_is_lost(server, caplog):
    server.fault = away
    with runs.record("tune", CONFIG) as record:
        record.log_metrics({"loss": 2.0})
    assert (record.run_id, record.queue.lost > 1) == ("", True)
    assert [line.startswith("the MLflow run lacks the last ") for line in caplog.messages] == [False, True]
