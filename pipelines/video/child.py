"""The child process that decodes: `python -m pipelines.video.child FD module:Class DECODER`; see `isolated.py`."""

import importlib
import json
import os
import sys
import threading
import time
from contextlib import ExitStack
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

from pipelines.video import answers
from pipelines.video.answers import Answer
from pipelines.video.confinement import confine
from pipelines.video.errors import VideoError
from pipelines.video.frames import Frames
from pipelines.video.info import VideoInfo
from pipelines.video.probe import probe
from pipelines.video.transfer import FrameSender

# The clips of a few videos interleave in one decoder, so their `VideoInfo` is cached, but only one reader stays open.
KEPT_INFOS = 8


class Server:
    """Answers requests; keeps the last reader open, because the next clip usually follows the last one."""

    def __init__(self, reader_class: Any, decoder: str) -> None:
        self._reader_class, self._decoder = reader_class, decoder
        self._stack = ExitStack()
        self._opened: tuple[Any, ...] = ()
        self._reader: Any = None
        self.sender = FrameSender()
        self.probe = lru_cache(KEPT_INFOS)(probe)

    def probe_video(self, path: str) -> VideoInfo:
        """Probe the video; repeated calls are answered from a cache."""
        return self.probe(path)

    def read_frames(self, path: str, start: int, stop: int, max_side: int | None, unused: list[int]) -> Frames:
        """Frames [start, stop) of the video; `unused` are the buffers of former frames that are free again."""
        self.sender.take_back(unused)
        if self._opened != (path, max_side):
            self._close()
            info, allocate = self.probe(path), self.sender.allocate
            reader = self._reader_class(path, max_side, self._decoder, info=info, allocate=allocate)
            self._reader = self._stack.enter_context(reader)
            self._opened = (path, max_side)
        return self._reader.read(start, stop)

    def answer(self, request: list[Any]) -> Answer | Frames:
        """The result of a request, or the reason for its failure."""
        try:
            answer = getattr(self, request[0])(*request[1:])
        except VideoError as error:
            self._close()
            return answers.failure(str(error))
        except Exception as error:  # on a hostile file a decoder may raise anything; only this video fails
            self._close()
            return answers.failure(f"the decoder failed: {type(error).__name__}: {error}")
        return answer if isinstance(answer, Frames) else Answer(info=answer)

    def _close(self) -> None:
        self._opened = ()
        self._stack.close()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Answer requests until the parent closes the connection."""
    # Without this thread a hung decoder would outlive a killed parent.
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(int(sys.argv[1]))
    module, _, name = sys.argv[2].partition(":")
    decoder = sys.argv[3]
    server = Server(getattr(importlib.import_module(module), name), decoder)
    confine(threads=decoder != "pyav")
    connection.send_bytes(b"ready")
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except EOFError:
            return
        answer = server.answer(request)
        if isinstance(answer, Frames):
            server.sender.send(connection, answer)
        else:
            connection.send_bytes(answers.encode(answer))


if __name__ == "__main__":
    main()
