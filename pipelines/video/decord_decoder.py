"""Frames by decord: where it is known to be right, and what it costs there.

decord 0.6 hands out wrong frames without a word where a stream is not simple, and may hang (MPEG-TS); hence a
list of what is allowed, not of what is forbidden. It decodes ahead without bound, so it is sent back to the
beginning after each read, which drops what is queued; the next read starts from a keyframe again.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from pipelines.video.errors import DecoderFault
from pipelines.video.info import VideoInfo

# Frames handed over at a time: at 1080p, 16 are 100 MB in decord and as much again in numpy.
BATCH_FRAMES = 16
# Each tried against PyAV's full frame list, at random places and in sequence.
CONTAINERS = ("mov", "matroska", "flv")
PIXEL_FORMATS = ("yuv420p", "yuvj420p")
# A share of the frames that decord may replace by copies of their neighbours before it raises: practically none.
FAULT_TOLERANCE = 1e-9


def why_not_decord(info: VideoInfo) -> str | None:
    """Why decord cannot be trusted with a video, or None if it can."""
    if find_spec("decord") is None:
        return "decord is not installed (it exists for x86-64 only)"
    simple = info.codec == "h264" and info.pixel_format in PIXEL_FORMATS
    reasons = {
        f"codec {info.codec} {info.pixel_format}": not simple,
        f"container {info.container}": not info.container.startswith(CONTAINERS),
        "several video streams": info.index.video_streams > 1,
        "interlaced": info.interlaced,  # the colours come out different
        "rotated for display": bool(info.rotation_deg or info.mirrored),
        "cut by an edit list": info.index.hidden_packets > 0,
        "keyframes that do not reset the decoder (open GOP or intra refresh)": not info.index.keyframes_reset,
        "damaged": info.damage is not None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


class DecordDecoder:
    """Decodes ranges of one video.

    Args:
        path: The file.
        info: What `probe` said of it.
        width: Pixels of the image to produce.
        height: Pixels of the image to produce.
        threads: Threads of the decoder.

    Raises:
        DecoderFault: decord refuses the video or sees another number of frames in it.
    """

    name: Literal["decord", "pyav"] = "decord"

    def __init__(self, path: str | Path, info: VideoInfo, width: int, height: int, threads: int) -> None:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        try:
            self._reader = decord.VideoReader(
                str(path),
                width=width,
                height=height,
                num_threads=threads,
                fault_tol=FAULT_TOLERANCE,  # pyright: ignore[reportArgumentType] (a share, as its manual says)
            )
        except (decord.DECORDError, decord.DECORDLimitReachedError) as error:
            raise DecoderFault("decord cannot open the video") from error
        if len(self._reader) != info.frame_count:
            raise DecoderFault(f"decord finds {len(self._reader)} frames, not {info.frame_count}")

    def read(self, start: int, stop: int) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        """Yield (index, RGB image) of every frame of the range.

        Raises:
            DecoderFault: decord met damage.
        """
        import decord

        try:
            for first in range(start, stop, BATCH_FRAMES):
                indices = range(first, min(first + BATCH_FRAMES, stop))
                yield from zip(indices, self._reader.get_batch(indices).asnumpy(), strict=True)
            self._reader.seek(0)
        except (decord.DECORDError, decord.DECORDLimitReachedError) as error:
            raise DecoderFault("decord met damage") from error

    def close(self) -> None:
        """Let go of the reader and all it holds."""
        del self._reader
