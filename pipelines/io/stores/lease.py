"""One writer at a time in a bucket, where no lock ends with its process: an object that its holder keeps renewing.

Every step is a conditional write, so that of two who try one succeeds. A holder that is killed leaves its object
behind: who comes after it on the same machine sees that the process is gone, all others wait until it has expired.
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
# Three renewals may fail before another job may take over.
LEASE_S, RENEWED_EVERY_S = 60.0, 15.0


@runtime_checkable
class ConditionalStore(Protocol):
    """A store without folders and locks, and what it has in their place; see `s3` and `gcs`."""

    def look(self, path: str) -> Any:
        """Of the object: `etag`, `metadata`, `age_s`; None if there is none."""
        ...

    def write_if(self, path: str, metadata: dict[str, str], etag: str | None) -> str | None:
        """Write an object if it is still the one seen; returns its new one, None if it is another by now."""
        ...

    def rm_file(self, path: str) -> None:
        """Remove it."""
        ...

    def abort_uploads(self, folder: str) -> None:
        """Drop what killed jobs left half uploaded in a folder."""
        ...


@contextmanager
def hold(store: ConditionalStore, folder: str, shown: str) -> Iterator[None]:
    """Hold a folder for writing.

    Args:
        store: Where it is.
        folder: Its path there.
        shown: Its URI, for messages.

    Raises:
        UserError: Another job holds it.
        RunFailed: Another job has taken it over: this one was stopped, or did not reach the store, for too long.
        OSError: The bucket cannot be written.
    """
    lease = _Lease(store, f"{folder.rstrip('/')}/{NAME}")
    lease.acquire(shown)
    thread = threading.Thread(target=lease.keep, daemon=True)
    thread.start()
    taken = f"output={shown}: another job has taken over: this one was silent for {LEASE_S:g} s; look what it does"
    try:
        yield
    except KeyboardInterrupt:
        if lease.lost:
            raise RunFailed(taken) from None
        raise
    finally:
        lease.stopped.set()
        thread.join(timeout=2)  # it may be waiting for a store that is gone
        if not lease.lost:
            with suppress(OSError, RunFailed, UserError):  # it expires
                store.rm_file(lease.path)
    if lease.lost:
        raise RunFailed(taken)


class _Lease:
    def __init__(self, store: ConditionalStore, path: str) -> None:
        self.path, self.lost, self.stopped = path, False, threading.Event()
        self._store = store
        self._etag: str | None = None
        self._writes = 0
        self._own = {"id": uuid.uuid4().hex, "host": socket.gethostname(), "pid": str(os.getpid()), **_here()}
        self._own["began"] = _began(self._own["pid"]) or ""

    def acquire(self, shown: str) -> None:
        while True:
            seen = self._store.look(self.path)
            if seen is not None and seen.metadata.get("id") == self._own["id"]:
                self._etag = seen.etag  # written, but the answer was lost
                return
            if seen is not None and seen.age_s < LEASE_S and not _is_gone(seen.metadata):
                told = f"{seen.metadata.get('host')}, process {seen.metadata.get('pid')}"
                raise UserError(
                    f"output={shown}: another job is writing here ({told}); wait for it or choose another. "
                    f"If it was killed, the folder is free in {min(LEASE_S, LEASE_S - seen.age_s):.0f} s"
                )
            if self._write(seen.etag if seen else None):
                return

    def _write(self, seen: str | None) -> bool:
        """Whether it is ours for another while."""
        # Each time other content: whoever has found it old must not find the same when it takes over.
        self._writes += 1
        etag = self._store.write_if(self.path, self._own | {"writes": str(self._writes)}, seen)
        self._etag = etag or self._etag
        return etag is not None

    def keep(self) -> None:
        """Renew it until `stopped`; once another has it, interrupt the job."""
        while not self.stopped.wait(RENEWED_EVERY_S):
            # A store that is gone is told by whoever writes results to it.
            with suppress(OSError, RunFailed):
                if self._write(self._etag):
                    continue
                seen = self._store.look(self.path)
                if seen is None or seen.metadata.get("id") == self._own["id"]:
                    self._etag = seen.etag if seen else None
                    continue
                self.lost = True
                os.kill(os.getpid(), signal.SIGINT)
                return


def _here() -> dict[str, str]:
    """Where process numbers mean the same: this boot of this machine, this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"boot": boot, "space": str(os.stat("/proc/self/ns/pid").st_ino)}
    except OSError:  # no Linux: nobody can tell, and the lease has to expire
        return {"boot": uuid.uuid4().hex, "space": ""}


def _began(pid: str) -> str | None:
    """When a process began, in ticks since the boot; None if it is no more."""
    try:
        state, *fields = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state == "Z" else fields[18]


def _is_gone(holder: dict[str, str]) -> bool:
    """Whether the holder was a process here that is no more."""
    here = all(holder.get(name) == value for name, value in _here().items())
    return here and _began(holder.get("pid", "")) != holder.get("began")
