"""The last lines of a job that fails: its log and the exception, kept as an artifact of its run."""

import logging
import traceback
from collections import deque
from types import TracebackType

# This many lines of the log are kept in memory.
_LINES = 200


class LastLines(logging.Handler):
    """Keeps the last lines that this process logs, within a `with` block."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=_LINES)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def __enter__(self) -> "LastLines":
        """Begin to keep lines."""
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop keeping lines."""
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append(self.format(record))

    def text(self, error: BaseException) -> str:
        """The lines, and then the exception with where it was raised."""
        return "\n".join([*self._lines, "".join(traceback.format_exception(error))])
