"""A job waits for the machines that its cluster is made for."""

import logging
from types import SimpleNamespace

import pytest

from pipelines.ray_cluster import expected
from schemas.errors import RunFailed, UserError


@pytest.fixture
def cluster(monkeypatch):
    """What joins the cluster, second by second; returns what is there now."""
    joins = [{}, {"CPU": 30.0}, {"CPU": 60.0}, {"CPU": 60.0, "GPU": 4.0}]
    clock = iter(range(1000))
    wait = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: joins.pop(0) if len(joins) > 1 else None)
    monkeypatch.setattr(expected, "time", wait)
    monkeypatch.setattr(expected.ray, "cluster_resources", lambda: joins[0])
    return joins


def test_it_waits_and_says_once_for_what(cluster, monkeypatch, caplog):
    monkeypatch.setenv("RAYLIFT_EXPECTED_CPUS", "60")
    monkeypatch.setenv("RAYLIFT_EXPECTED_GPUS", "4")
    with caplog.at_level(logging.WARNING):
        expected.wait_for_machines()
    assert cluster == [{"CPU": 60.0, "GPU": 4.0}]
    (line,) = caplog.messages
    assert "waiting: the cluster has 0 CPUs and 0 GPUs of the 60 CPUs and 4 GPUs that it is made for" in line


def test_machines_that_do_not_come_end_it(cluster, monkeypatch):
    monkeypatch.setenv("RAYLIFT_EXPECTED_GPUS", "8")
    monkeypatch.setenv("RAYLIFT_WAIT_S", "20")
    with pytest.raises(RunFailed, match="has 4 GPUs of the 8 GPUs that it is made for, after 20 s; see why workers"):
        expected.wait_for_machines()


@pytest.mark.parametrize("promised", [None, "", "0"])
def test_without_a_promise_it_begins_at_once(cluster, monkeypatch, promised):
    monkeypatch.delenv("RAYLIFT_EXPECTED_CPUS", raising=False)
    if promised is not None:
        monkeypatch.setenv("RAYLIFT_EXPECTED_CPUS", promised)
    expected.wait_for_machines()
    assert len(cluster) == 4


@pytest.mark.parametrize("text", ["many", "nan", "inf", "-1"])
def test_what_is_no_number_is_told(monkeypatch, text):
    monkeypatch.setenv("RAYLIFT_EXPECTED_CPUS", text)
    with pytest.raises(UserError, match=f"RAYLIFT_EXPECTED_CPUS={text}: is no number"):
        expected.wait_for_machines()
