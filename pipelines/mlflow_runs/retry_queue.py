"""The entries of an MLflow run: a thread sends them, so that no job ever waits for the tracking server."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from pipelines.mlflow_runs import tracking_server

log = logging.getLogger(__name__)
# A server that could not be used is asked again after this time, s.
RETRY_INTERVAL_S = 5.0
# At the end, one entry is waited for at most this long, s: MLflow's own limit for an answer, which a large file may
# need.
LONGEST_ENTRY_S = 120.0

Entry = Callable[[], object]
"""Sends one entry of a run to the server."""


class RetryQueue:
    """Sends entries to the tracking server in order, in a thread of its own.

    Entries may be given by any thread. While the server cannot be used they are kept in memory; the job's output does
    not depend on them.

    Args:
        away: Whether the server is known to be away, and the user has been told.

    Attributes:
        lost: How many entries could not be sent when the queue was closed.
    """

    def __init__(self, away: bool = False) -> None:
        self.lost = 0
        self._waiting: deque[Entry] = deque()
        self._away, self._closing = away, False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def send(self, entry: Entry) -> None:
        """Send an entry after all that are still waiting, without waiting for it."""
        with self._changed:
            self._waiting.append(entry)
            if self._thread is None:
                # The thread is a daemon, because a process must not wait at its end for a server that does not answer.
                self._thread = threading.Thread(target=self._send_all, name="mlflow", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Wait until all entries are sent, but not longer than this, and not at all while the server is away.

        Returns:
            Whether all are sent.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._away, seconds)
            return not self._waiting

    def close(self) -> None:
        """Send what is left as long as the server takes it, and warn if entries are lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        before = None
        while self._thread is not None and self._thread.is_alive() and len(self._waiting) != before:
            before = len(self._waiting)
            self._thread.join(LONGEST_ENTRY_S)
        if lost := len(self._waiting):
            self.lost = lost
            log.warning("the MLflow run lacks the last %d entries of the job; its output is complete", lost)

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                entry, is_last_try = self._waiting[0], self._closing
            sent = self._send(entry)
            with self._changed:
                self._away = not sent
                if sent:
                    self._waiting.popleft()
                self._changed.notify_all()
                if not sent and is_last_try:
                    return
                if not sent:
                    self._changed.wait_for(lambda: self._closing, RETRY_INTERVAL_S)

    def _send(self, entry: Entry) -> bool:
        """Send an entry; returns whether the server has taken or rejected it."""
        try:
            if self._away:
                tracking_server.ask()  # this takes seconds, while an entry may be a file that needs minutes
            with tracking_server.one_retry():
                entry()
        except tracking_server.failures() as error:
            if not tracking_server.is_invalid_request(error):
                if not self._away:
                    log.warning("%s; the job goes on and sends the entry later", tracking_server.to_run_failed(error))
                return False
            log.error("MLflow rejects an entry of the run: %s", error)
        except Exception:
            log.exception("an entry of the MLflow run cannot be sent")
        return True
