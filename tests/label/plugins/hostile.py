"""Video readers that meet a hostile video: on b.mp4 one aborts the process, one never comes back."""

import os
import time

from pipelines.video.reader import VideoReader


class Aborts(VideoReader):
    def read(self, start, stop):
        if str(self._path).endswith("b.mp4"):
            os.abort()
        return super().read(start, stop)


class Hangs(VideoReader):
    def read(self, start, stop):
        if str(self._path).endswith("b.mp4"):
            time.sleep(3600)
        return super().read(start, stop)


class Raises(VideoReader):
    def read(self, start, stop):
        raise ZeroDivisionError("by nothing")
