"""Writes a video frame by frame; the file gets its name only when it is complete."""

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.stream import VideoStream
from jaxtyping import UInt8

# Broadcast rates are fractions over 1001 (30000/1001); no rate in use needs a larger denominator.
LARGEST_RATE_DENOMINATOR = 1001


# On CPUs with AVX-512, x264's macroblock tree is not deterministic, so it is off.
_REPRODUCIBLE = {"libx264": {"x264-params": "no-mbtree=1"}}


class VideoWriter:
    """Encodes RGB frames to a video file, streaming; a context manager.

    The container follows from the suffix of the path. The file is written under a temporary name beside it and
    renamed when the `with` block ends; if it ends by an exception, nothing is left.

    Args:
        path: Where the video goes; an existing file is replaced.
        width: Pixels; yuv420p wants it even.
        height: Pixels; yuv420p wants it even.
        fps: Nominal frames per second.
        codec: An FFmpeg encoder.
        pixel_format: What the encoder stores.
        gop_size: Largest distance between keyframes, frames; None leaves it to the encoder (250 for libx264).
        options: Further options of the encoder, such as {"crf": "18", "preset": "fast"}.
        container_options: Options of the muxer, such as {"movflags": "+faststart"}.
        time_base: Seconds of one tick; None for one frame. A variable frame rate needs a finer one.
        rotation_deg: Counter-clockwise turn that players apply before display, written as a display matrix.
        mirrored: Whether players also swap left and right, before the turn.
        threads: Threads of the encoder.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        fps: float | Fraction,
        codec: str = "libx264",
        *,
        pixel_format: str = "yuv420p",
        gop_size: int | None = None,
        options: Mapping[str, str] | None = None,
        container_options: Mapping[str, str] | None = None,
        time_base: Fraction | None = None,
        rotation_deg: int = 0,
        mirrored: bool = False,
        threads: int = 1,
    ) -> None:
        self.path = Path(path).absolute()
        self._partial = self.path.with_name(f".{self.path.stem}.part{self.path.suffix}")
        rate = Fraction(fps).limit_denominator(LARGEST_RATE_DENOMINATOR)
        self._frame_s = 1 / rate
        self._frames = 0
        self._container = av.open(str(self._partial), "w", options=dict(container_options or {}))
        stream = self._container.add_stream(
            codec, rate=rate, options=_REPRODUCIBLE.get(codec, {}) | dict(options or {})
        )
        assert isinstance(stream, VideoStream), f"{codec} encodes no video"
        self._stream: VideoStream = stream
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, pixel_format
        context.time_base = stream.time_base = self._tick = time_base or self._frame_s
        context.thread_count = threads
        if gop_size is not None:
            context.gop_size = gop_size
        if rotation_deg or mirrored:
            # FFmpeg mirrors after the rotation, which equals mirroring before the opposite rotation.
            stream.set_display_rotation(-rotation_deg if mirrored else rotation_deg, hflip=mirrored)

    def __enter__(self) -> Self:
        """Start writing."""
        return self

    def write(self, frame: UInt8[np.ndarray, "height width 3"], timestamp_s: float | None = None) -> None:
        """Append one RGB frame, shown at `timestamp_s` or one frame after the previous.

        Timestamps ascend, and are rounded to `time_base`.
        """
        shown_s = self._frames * self._frame_s if timestamp_s is None else Fraction(timestamp_s)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        # The conversion is done here, because the encoder would use several threads and not always give the same bytes.
        picture = picture.reformat(format=self._stream.pix_fmt, threads=1)
        picture.time_base, picture.pts = self._tick, round(shown_s / self._tick)
        self._container.mux(self._stream.encode(picture))
        self._frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name, or remove it after an exception."""
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None:
                os.replace(self._partial, self.path)
        finally:
            self._partial.unlink(missing_ok=True)
