"""Trials as child runs, on a server behind a proxy that counts requests, or refuses them for a while."""

import time

import mlflow
from mlflow_runs.run_samples import CONFIG, away, back, history

from pipelines.mlflow_runs import child_runs, runs
from pipelines.mlflow_runs.child_runs import begin_child


def test_a_trial_begins_without_the_server_and_is_recorded_when_it_is_back(server):
    with runs.record("tune", CONFIG) as record:
        first = begin_child(record, "trial 001", {"learning_rate": 0.1}, {})
        server.fault = away
        second = begin_child(record, "trial 002", {"learning_rate": 0.2}, {"raylift.trial": "002"})
        assert (bool(first.run_id), second.run_id) == (True, "")
        for trial in (first, second):
            trial.log_metrics({"loss": 3.0}, step=1)
            trial.end("FINISHED")
        server.fault = back
    run = mlflow.get_run(second.run_id)
    assert (run.data.params, run.info.status) == ({"learning_rate": "0.2"}, "FINISHED")
    assert run.data.tags["mlflow.parentRunId"] == record.run_id
    assert history(first, "loss") == history(second, "loss") == [(1, 3.0)]


def test_a_trial_that_goes_on_logs_each_epoch_once(server):
    with runs.record("tune", CONFIG) as record:
        begun = begin_child(record, "trial 001", {"learning_rate": 0.1}, {})
        for epoch in (1, 2):
            begun.log_metrics({"train": {"loss_total": 3.0}}, step=epoch)
        begun.end("KILLED")
    with runs.record("tune", CONFIG, record.run_id) as again:
        # Under population-based training its values may have changed.
        resumed = begin_child(again, "trial 001", {"learning_rate": 0.2}, {}, begun.run_id)
        for epoch in (1, 2, 3):
            resumed.log_metrics({"train": {"loss_total": 2.0}}, step=epoch)
        resumed.end("FINISHED")
    assert resumed.run_id == begun.run_id
    assert history(resumed, "train/loss_total") == [(1, 3.0), (2, 3.0), (3, 2.0)]
    gone = "0" * 32
    with runs.record("tune", CONFIG) as record:
        assert begin_child(record, "trial 001", {}, {}, gone).run_id not in ("", gone), "the store may be another one"


def test_a_trial_of_seconds_takes_three_requests(server):
    with runs.record("tune", CONFIG) as record:
        assert record.queue.settle(60)
        before = len(server.requests)
        trial = begin_child(record, "trial 001", {f"field_{number}": number for number in range(90)}, {})
        for epoch in range(1, 60):
            trial.log_metrics({"train": {"loss_total": 3.0, "loss_pose": 2.0}}, step=epoch)
        trial.log_tags({"raylift.state": "finished"})
        trial.end("FINISHED")
        assert record.queue.settle(60)
        requests = [path.rpartition("/")[2] for method, path in server.requests[before:]]
    assert requests == ["create", "log-batch", "update"]
    run = mlflow.get_run(trial.run_id)
    assert (len(run.data.params), run.data.tags["raylift.state"], run.info.status) == (90, "finished", "FINISHED")
    assert history(trial, "train/loss_pose") == [(epoch, 2.0) for epoch in range(1, 60)]


def test_entries_of_a_long_trial_are_sent_as_it_goes_on(server, monkeypatch):
    monkeypatch.setattr(child_runs, "LONGEST_WAIT_S", 0.05)
    with runs.record("tune", CONFIG) as record:
        trial = begin_child(record, "trial 001", {"learning_rate": 0.1}, {})
        trial.log_metrics({"loss": 3.0}, step=1)
        deadline = time.monotonic() + 60
        while history(trial, "loss") != [(1, 3.0)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert mlflow.get_run(trial.run_id).data.params == {"learning_rate": "0.1"}
        trial.end("FINISHED")


def test_a_search_killed_before_it_sent_settings_sends_them_later(server):
    with runs.record("tune", CONFIG) as record:
        killed = begin_child(record, "trial 001", {"learning_rate": 0.1}, {})
        assert mlflow.get_run(killed.run_id).data.params == {}
        resumed = begin_child(record, "trial 001", {"learning_rate": 0.1}, {}, killed.run_id)
        resumed.end("FINISHED")
    assert resumed.run_id == killed.run_id
    assert mlflow.get_run(resumed.run_id).data.params == {"learning_rate": "0.1"}
