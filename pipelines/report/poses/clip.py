"""Encodes a range of a video as a small H.264 file that browsers play and in which they seek quickly."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from pipelines.video import own_child
from pipelines.video.encode import VideoWriter
from pipelines.video.frames import Frames
from pipelines.video.info import VideoInfo

# This many frames are decoded at a time, which bounds memory.
_RUN_FRAMES = 16
# MPEG's standard clock is exact for all broadcast frame rates, and fine enough for any other.
CLOCK = Fraction(1, 90_000)
# There is a keyframe every 15 frames, because a browser that seeks decodes from the keyframe before.
_GOP_FRAMES = 15
# This quality gives about 0.3 Mbit/s at 480 px. B-frames are off (bf=0), because MP4 stores durations in decoding
# order: with reordered frames and a variable frame rate, Chromium seeks to the wrong frame.
_ENCODER = {"preset": "veryfast", "crf": "29", "bf": "0"}
_FALLBACK_FPS = 30.0


class Reader(Protocol):
    """A reader of a video: `own_child.Video`, or `VideoReader`."""

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop)."""
        ...


def pictures(reader: Reader, first: int, stop: int) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"] | None]]:
    """(number, image) of frames [first, stop); a damaged frame repeats the image before it, or is None without one.

    The next frames are decoded while the caller works on the ones before.
    """
    latest = None
    starts = range(first, stop, _RUN_FRAMES)
    with ThreadPoolExecutor(1, "decode-ahead") as ahead:

        def request(start: int) -> Future[Frames]:
            return ahead.submit(reader.read, start, min(start + _RUN_FRAMES, stop))

        coming = request(first) if starts else None
        for start in starts:
            assert coming is not None
            run = coming.result()
            coming = request(start + _RUN_FRAMES) if start + _RUN_FRAMES < stop else None
            decoded = dict(zip(run.indices.tolist(), run.images, strict=True))
            for number in range(start, min(start + _RUN_FRAMES, stop)):
                latest = decoded.get(number, latest)
                yield number, latest


def even(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """The image without its last row or column where their number is odd, because yuv420p needs even sides."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    return image[:height, :width]


def encode_clip(
    path: Path,
    info: VideoInfo,
    first: int,
    stop: int,
    max_side: int,
    on_frame: Callable[[], None] = lambda: None,
) -> bytes:
    """Encode frames [first, stop) of a video as an MP4 file that keeps their spacing in time and starts at 0.

    Args:
        path: The video.
        info: The result of `probe` on it.
        first: Number of the first frame.
        stop: Number of the frame after the last.
        max_side: Longer side of the encoded video at most, px.
        on_frame: Called after each frame of the range.

    Raises:
        VideoError: The video cannot be read.
    """
    width, height = (max(2, side // 2 * 2) for side in info.size_within(max_side))
    reader = own_child.Video(path, max_side)
    with tempfile.TemporaryDirectory(prefix="raylift-") as folder:
        file = Path(folder, "clip.mp4")
        with VideoWriter(
            file,
            width,
            height,
            info.fps or _FALLBACK_FPS,
            gop_size=_GOP_FRAMES,
            options=_ENCODER,
            container_options={"movflags": "+faststart"},
            time_base=CLOCK,
        ) as writer:
            for number, image in pictures(reader, first, stop):
                if image is not None:
                    writer.write(even(image), float(info.timestamps_s[number] - info.timestamps_s[first]))
                on_frame()
        return file.read_bytes()
