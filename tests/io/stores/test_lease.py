"""Leases: one job at a time writes a folder of a bucket, and a killed one does not keep it."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster.store_proxy import BUCKET

from pipelines.io import storage
from pipelines.io.stores import lease
from schemas.errors import RunFailed, UserError

ROOT = Path(__file__).parents[3]
REFUSED = "another job is writing here"


@pytest.fixture
def folder(store, request):
    return f"{store.protocol}://{BUCKET}/lease/{request.node.originalname}"


def lock_of(folder):
    fs, path = storage.filesystem(f"{folder}/{lease.NAME}")
    assert isinstance(fs, lease.ConditionalStore)
    return fs, path


def elsewhere(folder):
    """Some other machine's job begins to hold the folder."""
    fs, path = lock_of(folder)
    assert fs.write_if(path, {"id": "other", "host": "node-7", "pid": "1", "boot": "other", "began": "1"}, None)


def test_one_writer_at_a_time(folder):
    with storage.sole_writer(folder):
        with pytest.raises(UserError, match=rf"output={folder}: {REFUSED} \(.*, process {os.getpid()}\)"):
            storage.sole_writer(folder).__enter__()
        with storage.sole_writer(f"{folder}/inner"):
            pass
    assert storage.list_folder(folder) == []
    with storage.sole_writer(folder):
        pass


def test_of_many_who_begin_at_once_one_may_write(folder):
    def attempt(_):
        writer = storage.sole_writer(folder)
        try:
            writer.__enter__()
        except UserError:
            return None
        return writer

    with ThreadPoolExecutor(8) as pool:
        (writer,) = filter(None, pool.map(attempt, range(8)))
    writer.__exit__(None, None, None)


@pytest.mark.parametrize("fault", ["lost", "busy", "reset"])
def test_a_fault_while_acquiring_does_not_lock_out_the_own_job(store, folder, fault):
    faults = iter([fault])
    store.fault = lambda number, method, path: next(faults, None) if method == store.upload else None
    with storage.sole_writer(folder), pytest.raises(UserError, match=REFUSED):
        storage.sole_writer(folder).__enter__()


def test_a_job_killed_on_this_machine_frees_its_folder_at_once(folder):
    code = f"""
import time
from pipelines.io import storage
with storage.sole_writer({folder!r}):
    print("holds", flush=True)
    time.sleep(600)
"""
    job = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "holds\n"
    with pytest.raises(UserError, match=REFUSED):
        storage.sole_writer(folder).__enter__()
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert storage.list_folder(folder) == [f"{folder}/{lease.NAME}"]
    with storage.sole_writer(folder):
        pass


def test_a_job_killed_elsewhere_frees_its_folder_when_its_lease_ends(folder, monkeypatch):
    elsewhere(folder)
    with pytest.raises(UserError, match=rf"{REFUSED} \(node-7, process 1\).* the folder is free in (60|5\d) s"):
        storage.sole_writer(folder).__enter__()
    monkeypatch.setattr(lease, "LEASE_S", 1)
    time.sleep(2.1)  # the store tells its time in whole seconds
    with storage.sole_writer(folder):
        pass


def test_a_living_job_keeps_its_lease(folder, monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 2)
    monkeypatch.setattr(lease, "RENEWED_EVERY_S", 0.2)
    with storage.sole_writer(folder):
        for _ in range(6):
            time.sleep(0.5)
            with pytest.raises(UserError, match=REFUSED):
                storage.sole_writer(folder).__enter__()


def test_a_job_whose_lease_was_taken_over_stops(folder, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED_EVERY_S", 0.2)

    def work():
        with storage.sole_writer(folder):
            fs, path = lock_of(folder)
            fs.rm_file(path)
            elsewhere(folder)
            time.sleep(20)

    with pytest.raises(RunFailed, match=f"output={folder}: another job has taken over"):
        work()
    fs, path = lock_of(folder)
    state = fs.state_of(path)
    assert state is not None
    assert state.metadata["id"] == "other", "what is another's stays"


class Expiring:
    """A store whose credential is refused from the second write on."""

    def __init__(self):
        self.writes = 0

    def state_of(self, path):
        return None

    def write_if(self, path, metadata, etag):
        self.writes += 1
        if self.writes > 1:
            raise UserError("s3://b: the credentials have expired")
        return "etag"

    def rm_file(self, path):
        raise AssertionError("it may be another job's by now")

    def abort_uploads(self, folder):
        pass


def test_a_job_whose_credential_is_refused_ends_before_another_can_take_over(monkeypatch):
    monkeypatch.setattr(lease, "RENEWED_EVERY_S", 0.05)
    message = (
        "output=s3://b/o: its lock cannot be renewed, so that another job could write there: s3://b: the credentials"
    )
    with pytest.raises(RunFailed, match=message), lease.hold(Expiring(), "b/o", "s3://b/o"):
        time.sleep(20)
