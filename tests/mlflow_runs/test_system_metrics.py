"""How busy machines are: samples of long jobs, in their runs, and none of short ones."""

import threading
import time

import mlflow
import pytest

from pipelines.mlflow_runs import runs, system_metrics
from pipelines.mlflow_runs.system_metrics import MachineSampler, SystemMetrics, named
from schemas.configs.label import LabelConfig

CONFIG = LabelConfig(videos="v", output="out")


@pytest.fixture
def soon(monkeypatch):
    """Lets jobs be long ones at once."""
    monkeypatch.setattr(system_metrics, "LONG_JOB_S", 0.0)
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")


def nobody(ended):
    """No other machine."""
    return {}


def test_a_long_job_has_samples_in_its_run(server, soon):
    with runs.record("label", CONFIG) as record:
        deadline = time.monotonic() + 60
        while "system/cpu_utilization_percentage" not in mlflow.get_run(record.run_id).data.metrics:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    metrics = mlflow.get_run(record.run_id).data.metrics
    names = ("system_memory_usage_megabytes", "network_receive_megabytes", "disk_usage_percentage")
    assert metrics.keys() >= {f"system/{name}" for name in names}


@pytest.mark.parametrize("switch", ["false", "0", None])
def test_a_short_job_or_one_that_wants_none_has_none(own_tracking_store, monkeypatch, switch):
    if switch is not None:
        monkeypatch.setattr(system_metrics, "LONG_JOB_S", 0.0)
        monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", switch)
    samples = []
    watched = SystemMetrics(lambda metrics, seconds: samples.append(seconds), nobody, 0.0)
    time.sleep(0.1)
    watched.end()
    assert samples == []


def test_the_other_machines_are_asked_in_jobs_that_are_longer_still(monkeypatch, soon):
    monkeypatch.setattr(system_metrics, "LONG_CLUSTER_JOB_S", 0.0)
    samples = []
    watched = SystemMetrics(
        lambda metrics, seconds: samples.append((metrics, seconds)),
        lambda ended: {"gpu7": {"x": 1}},
        time.time() - 3600,
    )
    deadline = time.monotonic() + 60
    while not samples:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    watched.end()
    (metrics, seconds), *_ = samples
    assert metrics["system/gpu7/x"] == 1.0
    assert seconds >= 3600, "a job that goes on counts from its beginning"


def test_a_job_that_ends_waits_for_no_machine_and_leaves_no_thread(monkeypatch, soon):
    """The process leaves the cluster next, and a thread that still asked machines there would spoil its exit code."""
    monkeypatch.setattr(system_metrics, "LONG_CLUSTER_JOB_S", 0.0)
    asked, sent = threading.Event(), []

    def slow(ended):
        asked.set()
        ended.wait(60)
        return {}

    watched = SystemMetrics(lambda metrics, seconds: sent.append(metrics), slow, 0.0)
    assert asked.wait(60)
    watched.end()
    assert "system metrics" not in {thread.name for thread in threading.enumerate()}
    assert sent == []


def test_counters_that_fail_end_the_samples_and_not_the_job(soon, caplog):
    def broken(metrics, seconds):
        raise OSError("no /proc here")

    watched = SystemMetrics(broken, nobody, 0.0)
    deadline = time.monotonic() + 60
    while not caplog.messages:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    watched.end()
    assert caplog.messages == ["no more system metrics: no /proc here"]


def test_names_are_those_of_mlflow_s_page():
    sample = {"cpu_utilization_percentage": 7}
    assert named({"": sample, "worker_ab12": sample}) == {
        **{"system/cpu_utilization_percentage": 7.0, "system/worker_ab12/cpu_utilization_percentage": 7.0},
    }
    assert MachineSampler().sample().keys() >= {"cpu_utilization_percentage", "network_transmit_megabytes"}


def test_the_first_sample_is_of_a_time_in_which_a_machine_can_be_measured():
    """MLflow's monitor says 0 or 100 % of the CPU when it is asked right after it was made."""
    began = time.monotonic()
    sampler = MachineSampler()
    sampler.sample()
    first = time.monotonic()
    sampler.sample()
    assert first - began >= 1
    assert time.monotonic() - first < 1, "later ones do not wait"


def test_an_interval_that_is_no_number_is_one_line(monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "often")
    metrics = SystemMetrics(lambda numbers, step: None, nobody, 0.0)
    assert metrics._thread is not None
    metrics._thread.join(60)
    assert caplog.messages == [
        "no more system metrics: MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL=often: is no number of seconds"
    ]
