"""Videos for processes that read one at a time, such as a driver that draws pages: they share one child."""

import threading
from functools import cache
from pathlib import Path

from pipelines.video.frames import Frames
from pipelines.video.info import VideoInfo
from pipelines.video.isolated import IsolatedReader

# Time limit for one request to the decoder, s: the default of the label job's `decode.timeout_s`.
_TIMEOUT_S = 120.0
# The lock is needed because one thread may decode ahead while another opens the next video.
_reading = threading.Lock()


def probe(path: Path) -> VideoInfo:
    """The properties of a video.

    Raises:
        VideoError: The video cannot be opened, or the decoder crashed or hung.
    """
    with _reading:
        return _child().probe(path)


class Video:
    """The frames of a video.

    Args:
        path: The file.
        max_side: Pixels of the longer side of the images at most.
    """

    def __init__(self, path: Path, max_side: int) -> None:
        self._path, self._max_side = path, max_side

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop).

        Raises:
            VideoError: The frames cannot be read, or the decoder crashed or hung.
        """
        with _reading:
            return _child().read(self._path, start, stop, self._max_side)


@cache
def _child() -> IsolatedReader:
    # The child ends together with this process.
    return IsolatedReader(_TIMEOUT_S)
