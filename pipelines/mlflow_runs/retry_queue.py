"""The entries of an MLflow run: while the server is away they wait in a queue, and the job goes on."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext

from pipelines.mlflow_runs import tracking_server

log = logging.getLogger(__name__)

Entry = Callable[[], object]
"""Sends one entry of a run to the server."""


class RetryQueue:
    """Sends entries to the tracking server in order, from any thread.

    The first time that the server cannot be used, MLflow's own retries take minutes. After that the server gets
    seconds, once for each new entry; until it answers, entries are kept in memory. The job's output does not depend on
    them.
    """

    def __init__(self) -> None:
        self._waiting: deque[Entry] = deque()
        self._away = False
        self._lock = threading.Lock()

    def send(self, entry: Entry) -> None:
        """Send an entry after all that are still waiting.

        Raises:
            MlflowException: The server rejects the entry as invalid.
        """
        with self._lock:
            self._waiting.append(entry)
            self._send_waiting()

    def close(self) -> None:
        """Try a last time, and warn if entries are lost."""
        with self._lock:
            self._send_waiting()
            if self._waiting:
                log.warning(
                    "the MLflow run lacks the last %d entries of the job; its output is complete", len(self._waiting)
                )

    def _send_waiting(self) -> None:
        with tracking_server.impatient() if self._away else nullcontext():
            while self._waiting:
                try:
                    self._waiting[0]()
                except tracking_server.failures() as error:
                    if tracking_server.is_invalid_request(error):
                        self._waiting.popleft()
                        raise
                    if not self._away:
                        log.warning(
                            "%s; the job goes on and sends the entry later", tracking_server.to_run_failed(error)
                        )
                    self._away = True
                    return
                except BaseException:  # after Ctrl-C, `close` must not wait for minutes
                    self._away = True
                    raise
                self._waiting.popleft()
                self._away = False
