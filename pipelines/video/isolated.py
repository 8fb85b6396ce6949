"""Reads videos in a child process: a crash, a hang or a decoder that is taken over ends as a `VideoError`.

Ray retries a dying worker without limit, so a hostile video must not be able to kill one. The child is a plain
process (`python -m pipelines.video.child`), started when first needed and replaced when it dies. It has no secrets in
its environment and limits of its memory (`confinement.py`), and everything that it sends is checked (`answers.py`).
"""

import json
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipelines.video import answers
from pipelines.video.confinement import environment
from pipelines.video.errors import FalseAnswer, VideoError
from pipelines.video.frames import Frames
from pipelines.video.info import VideoInfo
from pipelines.video.transfer import FrameReceiver

READER = "pipelines.video.reader:VideoReader"

# Longest time for the child to start, s; its imports take much less even on a busy machine.
_START_S = 120.0
# One crash may have another cause (out of memory, killed by an operator); a second one is attributed to the video.
_ATTEMPTS = 2
# Longest time for a child that closed its connection to end, s.
_DEATH_S = 5.0


class IsolatedReader:
    """Probes and reads videos in a child process with a time limit; a context manager that ends the child.

    Args:
        timeout_s: Longest time one call may take.
        reader: "module:Class" of the reader that the child uses.
        decoder: As `VideoReader` takes it. decord carries an FFmpeg of 2020: for videos that are trusted.
    """

    def __init__(self, timeout_s: float, reader: str = READER, decoder: str = "pyav") -> None:
        self._timeout_s, self._reader, self._decoder = timeout_s, reader, decoder
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._receiver = FrameReceiver()
        self._ready = False

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child."""
        self.close()

    def start(self) -> None:
        """Start the child without waiting for its imports (a second); `probe` and `read` start it too if needed."""
        if self._process is not None:
            return
        ours, theirs = Pipe()
        # multiprocessing's spawn is not used, because it would import __main__ again, which is Ray's worker program
        # here.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.video.child", str(theirs.fileno()), self._reader, self._decoder],
            pass_fds=[theirs.fileno()],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._connection, self._receiver, self._ready = ours, FrameReceiver(), False

    def probe(self, path: Path) -> VideoInfo:
        """Probe the video.

        Raises:
            VideoError: The video cannot be opened, or the decoder crashed or hung.
        """
        info = self._ask("probe_video", str(path))
        return self._required(isinstance(info, VideoInfo), info)

    def read(self, path: Path, start: int, stop: int, max_side: int | None) -> Frames:
        """Frames [start, stop) of the video, see `VideoReader.read`.

        Raises:
            VideoError: The frames cannot be read, or the decoder crashed or hung.
        """
        frames = self._ask("read_frames", str(path), start, stop, max_side, self._receiver.give_back())
        fits = isinstance(frames, Frames) and all(start <= index < stop for index in frames.indices.tolist())
        return self._required(fits, frames)

    def close(self) -> None:
        """End the child."""
        if self._process and self._connection:
            self._connection.close()
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    def _ask(self, *request: Any) -> VideoInfo | Frames | None:
        for attempt in range(1, _ATTEMPTS + 1):
            with _Deadline(self._timeout_s) as deadline:
                try:
                    connection = self._connected()
                    deadline.start(connection)
                    connection.send_bytes(json.dumps(request).encode())
                    return self._receive(connection)
                except FalseAnswer:
                    self.close()
                    raise
                except (EOFError, OSError):  # the connection ended, or was about to send a message without end
                    reason = self._cause_of_death()
                    if deadline.passed:
                        raise VideoError(f"decoding took longer than {self._timeout_s:g} s and was stopped") from None
                    if attempt == _ATTEMPTS:
                        raise VideoError(f"the decoder crashed ({reason}), {_ATTEMPTS} times") from None
        raise AssertionError("the loop returns or raises")

    def _receive(self, connection: Connection) -> VideoInfo | Frames | None:
        answer = answers.decode(connection.recv_bytes(answers.LARGEST_BYTES))
        if answer.error is not None:
            raise VideoError(answer.error)
        return self._receiver.receive(connection, answer.frames) if answer.frames else answer.info

    def _required(self, fits: bool, answer: Any) -> Any:
        """Return the answer if it fits the request; otherwise end the child, which may be taken over."""
        if not fits:
            self.close()
            raise FalseAnswer("answered another question")
        return answer

    def _connected(self) -> Connection:
        self.start()
        assert self._connection is not None
        if not self._ready:
            # A video's time limit excludes the child's imports; a child that cannot start closes the connection.
            self._connection.poll(_START_S)
            self._connection.recv_bytes()
            self._ready = True
        return self._connection

    def _cause_of_death(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(_DEATH_S)
        except subprocess.TimeoutExpired:  # it closed the connection but has not ended
            code = -signal.SIGKILL
        self.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class _Deadline:
    """Ends a connection after some time, whatever the other side does, as reading half a message would wait for ever.

    Attributes:
        passed: Whether the time was over.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self.passed = seconds, False
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        """The deadline, which begins with `start`."""
        return self

    def start(self, connection: Connection) -> None:
        """Begin to count."""
        self._timer = threading.Timer(self._seconds, self._pass, [connection])
        self._timer.daemon = True
        self._timer.start()

    def _pass(self, connection: Connection) -> None:
        self.passed = True
        with suppress(OSError), socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
            end.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *unused: object) -> None:
        """Stop counting."""
        if self._timer:
            self._timer.cancel()
