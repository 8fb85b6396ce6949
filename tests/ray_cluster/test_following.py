"""Following a job on a cluster ends when it is asked to, whatever the connection does; versions are compared."""

import asyncio
import os
import platform
import signal
import threading

import pytest
import ray

from pipelines.ray_cluster.job_client import JobServer, require_same_versions
from schemas.errors import RunFailed, UserError


class DeafClient:
    """A connection that loses each cancellation, as a web socket that is being closed once did."""

    async def tail_job_logs(self, job_id):
        yield f"{job_id} begins\n"
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue


class BrokenClient:
    async def tail_job_logs(self, job_id):
        yield "one "
        raise ValueError("a bug of ours")


def server(client):
    job_server = JobServer.__new__(JobServer)
    job_server.address, job_server._client = "http://head:8265", client
    return job_server


def test_the_first_ctrl_c_ends_the_looking():
    texts = []

    def on_text(text):
        texts.append(text)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        server(DeafClient()).follow("label-1", on_text)
    assert texts == ["label-1 begins\n"]


def test_a_failure_of_the_reader_is_not_lost():
    texts = []
    with pytest.raises(ValueError, match="a bug of ours"):
        server(BrokenClient()).follow("label-1", texts.append)
    assert texts == ["one "]


def test_a_cluster_that_is_gone_for_minutes_is_told(monkeypatch):
    class Gone:
        async def tail_job_logs(self, job_id):
            raise OSError("no route")
            yield

    monkeypatch.setattr("pipelines.ray_cluster.job_client._LOST_S", -1)
    with pytest.raises(RunFailed, match="no route; the job may go on"):
        server(Gone()).follow("label-1", print)


def test_a_cluster_of_another_ray_is_told_before_anything_is_sent(caplog):
    require_same_versions("http://head:8265", {"ray": ray.__version__, "python": platform.python_version()})
    require_same_versions("http://head:8265", {})
    assert not caplog.records
    with pytest.raises(UserError, match=r"http://head:8265: runs Ray 2\.9\.1, this is Ray 2"):
        require_same_versions("http://head:8265", {"ray": "2.9.1", "python": "3.11.0"})


def test_another_python_is_a_warning(caplog):
    require_same_versions("http://head:8265", {"ray": ray.__version__, "python": "3.99.1"})
    (record,) = caplog.records
    assert "http://head:8265 runs Python 3.99.1, this is" in record.getMessage()
