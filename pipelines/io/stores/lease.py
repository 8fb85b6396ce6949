"""A lease that allows one writer at a time in a bucket: an object that its holder keeps renewing.

Object stores have no locks that end with their process. Every step is a conditional write, so that only one of two
processes succeeds. A killed holder leaves its object behind: another job on the same machine sees that the process has
ended, and jobs on other machines wait until the lease expires.
"""

import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from schemas.errors import RunFailed, UserError

NAME = ".lock"
# With these times, three renewals in a row may fail before another job can take over.
LEASE_S, RENEWED_EVERY_S = 60.0, 15.0


@runtime_checkable
class ConditionalStore(Protocol):
    """An object store with conditional writes; see `s3` and `gcs`."""

    def state_of(self, path: str) -> Any:
        """Request an object's `ObjectState`; None if there is no such object."""
        ...

    def write_if(self, path: str, metadata: dict[str, str], etag: str | None) -> str | None:
        """Write an object if its ETag has not changed; returns the new ETag, None if it has changed."""
        ...

    def rm_file(self, path: str) -> None:
        """Remove an object."""
        ...

    def abort_uploads(self, folder: str) -> None:
        """Remove the parts that interrupted uploads left in a folder."""
        ...


@contextmanager
def hold(store: ConditionalStore, folder: str, shown: str) -> Iterator[None]:
    """Hold the lease of a folder.

    Args:
        store: The object store.
        folder: The folder's path there.
        shown: Its URI, for messages.

    Raises:
        UserError: Another job holds the lease.
        RunFailed: Another job has taken it over, because this one was stopped or did not reach the store for too long;
            or the store refuses to renew it.
        OSError: The bucket cannot be written.
    """
    lease = _Lease(store, f"{folder.rstrip('/')}/{NAME}")
    lease.acquire(shown)
    thread = threading.Thread(target=lease.keep, daemon=True)
    thread.start()

    def lost() -> str:
        if lease.refused:
            return f"output={shown}: its lock cannot be renewed, so that another job could write there: {lease.refused}"
        return (
            f"output={shown}: another job has taken over, because this one did not reach the store for {LEASE_S:g} s; "
            "let that job finish"
        )

    try:
        yield
    except KeyboardInterrupt:
        if lease.lost:
            raise RunFailed(lost()) from None
        raise
    finally:
        lease.stopped.set()
        thread.join(timeout=2)  # at most, because the thread may be waiting for a store that does not answer
        if not lease.lost:
            with suppress(OSError, RunFailed, UserError):  # a lease that is not removed expires
                store.rm_file(lease.path)
    if lease.lost:
        raise RunFailed(lost())


class _Lease:
    def __init__(self, store: ConditionalStore, path: str) -> None:
        self.path, self.lost, self.stopped = path, False, threading.Event()
        # The reason why the store does not let this job renew the lease; None while it does.
        self.refused: str | None = None
        self._store = store
        self._etag: str | None = None
        self._writes = 0
        self._own = {"id": uuid.uuid4().hex, "host": socket.gethostname(), "pid": str(os.getpid()), **_here()}
        self._own["began"] = _began(self._own["pid"]) or ""

    def acquire(self, shown: str) -> None:
        while True:
            state = self._store.state_of(self.path)
            if state is not None and state.metadata.get("id") == self._own["id"]:
                self._etag = state.etag  # an earlier write succeeded, but its answer was lost
                return
            if state is not None and state.age_s < LEASE_S and not _has_ended(state.metadata):
                holder = f"{state.metadata.get('host')}, process {state.metadata.get('pid')}"
                raise UserError(
                    f"output={shown}: another job is writing here ({holder}); wait for it or choose another. "
                    f"If it was killed, the folder is free in {min(LEASE_S, LEASE_S - state.age_s):.0f} s"
                )
            if self._write(state.etag if state else None):
                return

    def _write(self, expected: str | None) -> bool:
        """Write the lease if its ETag is still the expected one; returns whether it was."""
        # A counter makes every version differ. Otherwise a renewed lease would have the ETag of the expired one, and
        # a job that saw the expired one could take it over.
        self._writes += 1
        etag = self._store.write_if(self.path, self._own | {"writes": str(self._writes)}, expected)
        self._etag = etag or self._etag
        return etag is not None

    def keep(self) -> None:
        """Renew the lease until `stopped` is set; if it is lost or cannot be renewed, interrupt this job."""
        while not self.stopped.wait(RENEWED_EVERY_S):
            try:
                self.lost = not self._renew()
            except (OSError, RunFailed):
                continue  # if the store does not answer, the job's next write fails and reports it
            except Exception as error:  # such as a credential that has expired: the lease would expire too, unseen
                self.lost, self.refused = True, str(error) or type(error).__name__
            if self.lost:
                os.kill(os.getpid(), signal.SIGINT)
                return

    def _renew(self) -> bool:
        """Write the lease once more; returns whether it is still this job's."""
        if self._write(self._etag):
            return True
        state = self._store.state_of(self.path)
        self._etag = state.etag if state else None
        return state is None or state.metadata.get("id") == self._own["id"]


def _here() -> dict[str, str]:
    """Identifies the scope of process ids: this boot of this machine, and this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"boot": boot, "space": str(os.stat("/proc/self/ns/pid").st_ino)}
    except OSError:  # not Linux: no other process can recognize this machine, so its lease has to expire
        return {"boot": uuid.uuid4().hex, "space": ""}


def _began(pid: str) -> str | None:
    """When a process began, in clock ticks since the boot; None if it has ended."""
    try:
        state, *fields = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state == "Z" else fields[18]


def _has_ended(holder: dict[str, str]) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    here = all(holder.get(name) == value for name, value in _here().items())
    return here and _began(holder.get("pid", "")) != holder.get("began")
