"""What a job tells its MLflow run: a server that is away for a while costs a warning, not the job."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext

from pipelines.mlflow_runs import tracking_server

log = logging.getLogger(__name__)


class Outbox:
    """Tells the tracking server everything in order, from any thread.

    The first time that the server cannot be used, MLflow's own patience of minutes is had with it. From then on it is
    asked for seconds, each time that there is news; until it answers, what it was not told is kept in memory. The
    output is whole without it.
    """

    def __init__(self) -> None:
        self._untold: deque[Callable[[], object]] = deque()
        self._away = False
        self._lock = threading.Lock()

    def tell(self, message: Callable[[], object]) -> None:
        """Tell a message, and before it all that could not be told so far.

        Raises:
            MlflowException: The message makes no sense to the server.
        """
        with self._lock:
            self._untold.append(message)
            self._tell_all()

    def close(self) -> None:
        """Try a last time, and say what the run lacks for good."""
        with self._lock:
            self._tell_all()
            if self._untold:
                log.warning(
                    "the MLflow run lacks the last %d entries of the job; its output is whole", len(self._untold)
                )

    def _tell_all(self) -> None:
        with tracking_server.impatient() if self._away else nullcontext():
            while self._untold:
                try:
                    self._untold[0]()
                except tracking_server.FAILURES as error:
                    if tracking_server.is_mistake(error):
                        self._untold.popleft()
                        raise
                    if not self._away:
                        log.warning("%s; the job goes on, and tells it later", tracking_server.failed(error))
                    self._away = True
                    return
                except BaseException:  # who presses Ctrl-C will not wait for a server either
                    self._away = True
                    raise
                self._untold.popleft()
                self._away = False
