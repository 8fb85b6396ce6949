"""Keeps what a job on a cluster prints in its output, because the log of a pod vanishes with the pod."""

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from functools import partial
from typing import Any, TextIO, cast

from jobs.command_line.durability import SUBMITTED
from jobs.command_line.tracebacks import traceback_lines
from pipelines.io.secrets import redact
from schemas.errors import RunFailed, UserError
from schemas.job_config import JobConfig
from schemas.run_config import RunConfig

log = logging.getLogger(__name__)
FOLDER = "logs"
# An object store has no files to append to, so the whole log is written anew each time: it must stay small, and be
# written seldom. A driver that is killed loses what it printed in the last interval.
MOST_CHARACTERS, INTERVAL_S = 1_000_000, 30.0


class PrintedLines:
    """The last lines that a job has printed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: deque[str] = deque()
        self._characters = 0
        self._left_out = False

    def add(self, text: str) -> None:
        """Add printed text, and forget the oldest if there is too much."""
        with self._lock:
            self._pieces.append(text)
            self._characters += len(text)
            while self._characters > MOST_CHARACTERS and len(self._pieces) > 1:
                self._characters -= len(self._pieces.popleft())
                self._left_out = True

    def text(self) -> str:
        """All that is kept, without secrets."""
        with self._lock:
            printed = "".join(self._pieces)
        # The first line may have lost its beginning.
        printed = "…\n" + printed.partition("\n")[2] if self._left_out else printed
        return "\n".join(redact(line) for line in printed.split("\n"))


class CopyingStream:
    """A text stream that also hands what is written to it to `PrintedLines`; for the rest it is the stream itself."""

    def __init__(self, stream: TextIO, lines: PrintedLines) -> None:
        self._stream, self._lines = stream, lines

    def write(self, text: str) -> int:
        """Write, and keep a copy."""
        self._lines.add(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def keep_log(job: str, config: JobConfig) -> Iterator[None]:
    """Write what the job prints into OUTPUT/logs/JOB-TIME.log, now and then and at its end, where it runs on a cluster.

    A log that cannot be written is a warning: the job goes on.

    Args:
        job: The job's name.
        config: Its config; jobs without a folder of their own keep no log.
    """
    output = getattr(config, "output", None) if isinstance(config, RunConfig) else None
    if SUBMITTED not in os.environ or output is None:
        yield
        return
    from pipelines.io import storage  # here: it loads pyarrow, for which the help of a job would wait

    file = storage.join(output, FOLDER, f"{job}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log")
    lines, ended = PrintedLines(), threading.Event()
    write = partial(storage.write_bytes, file)
    writing = threading.Thread(target=_write_now_and_then, args=(write, lines, ended), daemon=True)
    writing.start()
    try:
        with (
            redirect_stdout(cast(TextIO, CopyingStream(sys.stdout, lines))),
            redirect_stderr(cast(TextIO, CopyingStream(sys.stderr, lines))),
        ):
            yield
    except BaseException as error:
        # Python prints it only after the last lines were written.
        lines.add("\n".join(traceback_lines(error)))
        raise
    finally:
        ended.set()
        writing.join()


def _write_now_and_then(write: Callable[[bytes], None], lines: PrintedLines, ended: threading.Event) -> None:
    written, warned, over = "", False, False
    while not over:
        over = ended.wait(INTERVAL_S)
        text = lines.text()
        if text == written:
            continue
        try:
            write(text.encode())
            written = text
        except (RunFailed, UserError, OSError) as error:
            if not warned:
                log.warning("the job's log is not kept in its output: %s", error)
            warned = True
