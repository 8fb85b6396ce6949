"""Reads videos in a child process: if the decoder crashes, hangs or raises, the result is a `VideoError`.

Ray retries a dying worker without limit, so a hostile video must not be able to kill one. The child is a plain
process (`python -m pipelines.video.child`), started when first needed and replaced when it dies.
"""

import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from pipelines.video.errors import VideoError
from pipelines.video.frames import Frames
from pipelines.video.info import VideoInfo
from pipelines.video.transfer import FrameReceiver, Sent

READER = "pipelines.video.reader:VideoReader"

# Time for the child to start: much longer than its imports take on a busy machine.
_START_S = 120.0
# One crash may have another cause (out of memory, killed by an operator); a second one is attributed to the video.
_ATTEMPTS = 2


class IsolatedReader:
    """Probes and reads videos in a child process with a time limit.

    Args:
        timeout_s: Longest time one call may take.
        reader: "module:Class" of the reader that the child uses.
    """

    def __init__(self, timeout_s: float, reader: str = READER) -> None:
        self._timeout_s = timeout_s
        self._reader = reader
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._receiver = FrameReceiver()
        self._ready = False

    def start(self) -> None:
        """Start the child without waiting for its imports (a second); `probe` and `read` start it too if needed."""
        if self._process is not None:
            return
        ours, theirs = Pipe()
        # Not multiprocessing's spawn, which would import __main__ again, here the worker program of Ray.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.video.child", str(theirs.fileno()), self._reader],
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._connection, self._receiver, self._ready = ours, FrameReceiver(), False

    def probe(self, path: Path) -> VideoInfo:
        """Probe the video.

        Raises:
            VideoError: It cannot be opened, or the decoder crashed or hung.
        """
        return self._ask("probe_video", str(path))

    def read(self, path: Path, start: int, stop: int, max_side: int | None, decoder: str) -> Frames:
        """Frames [start, stop) of the video, see `VideoReader.read`.

        Raises:
            VideoError: They cannot be read, or the decoder crashed or hung.
        """
        return self._ask("read_frames", str(path), start, stop, max_side, decoder, self._receiver.give_back())

    def close(self) -> None:
        """End the child."""
        if self._process and self._connection:
            self._connection.close()
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    def _ask(self, *request: Any) -> Any:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                connection = self._connected()
                connection.send(request)
                if not connection.poll(self._timeout_s):
                    self.close()
                    raise VideoError(f"decoding took longer than {self._timeout_s:g} s and was stopped")
                answer = connection.recv()
                if isinstance(answer, Sent):
                    answer = self._receiver.receive(connection, answer)
            except (EOFError, ConnectionError):
                reason = self._cause_of_death()
                if attempt == _ATTEMPTS:
                    raise VideoError(f"the decoder crashed ({reason}), {_ATTEMPTS} times") from None
            else:
                if isinstance(answer, VideoError):
                    raise answer
                return answer
        raise AssertionError("the loop returns or raises")

    def _connected(self) -> Connection:
        self.start()
        assert self._connection is not None
        if not self._ready:
            # The time limit of a video excludes the child's imports; a child that cannot start closes the connection.
            self._connection.poll(_START_S)
            self._connection.recv()
            self._ready = True
        return self._connection

    def _cause_of_death(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        self.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
