"""Decoding by decord, for the videos on which it is known to be correct.

decord 0.6 returns wrong frames without an error if a stream is not simple, and may hang (MPEG-TS): `why_not_decord`
therefore lists what is allowed, not what is forbidden. It decodes ahead without bound, so each read ends with a seek to
the beginning, which drops the queue; the next read starts from a keyframe again.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipelines.video.errors import DecoderFault
from pipelines.video.frames import DecoderName
from pipelines.video.info import VideoInfo

# Frames per batch: at 1080p, 16 frames take 100 MB in decord and as much again in NumPy.
BATCH_FRAMES = 16
# Each of these was compared with PyAV's frames, at random positions and in sequence.
CONTAINERS = ("mov", "matroska", "flv")
PIXEL_FORMATS = ("yuv420p", "yuvj420p")
# The share of the frames that decord may replace by copies of their neighbours before it raises; practically none.
FAULT_TOLERANCE = 1e-9


def why_not_decord(info: VideoInfo) -> str | None:
    """The reason why decord must not decode a video, or None if it may."""
    if find_spec("decord") is None:
        return "decord is not installed (it exists for x86-64 only)"
    simple = info.codec == "h264" and info.pixel_format in PIXEL_FORMATS
    reasons = {
        f"codec {info.codec} {info.pixel_format}": not simple,
        f"container {info.container}": not info.container.startswith(CONTAINERS),
        "several video streams": info.index.video_streams > 1,
        "a clock that starts again, or equal times": info.index.reclocked,
        "times of decoding in place of those of the frames": info.index.counted,
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
        info: The result of `probe`.
        width: Pixels of the image to produce.
        height: Pixels of the image to produce.
        threads: Threads of the decoder.

    Raises:
        DecoderFault: decord cannot open the video, or counts another number of frames.
    """

    name: DecoderName = "decord"
    # decord does not tell which frames have another shape, so such videos are left to PyAV.
    resized: tuple[int, ...] = ()

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
        """Release the reader with its buffers."""
        del self._reader
