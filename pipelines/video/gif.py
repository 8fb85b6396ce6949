"""Write an animated GIF frame by frame, in constant memory, with one palette that suits its pictures."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.error import BlockingIOError as NothingYetError
from av.error import EOFError as NothingMoreError
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

# GIF counts time in hundredths of a second.
_TICK = Fraction(1, 100)
# Ordered dithering stays put from frame to frame, and unchanged areas cost nothing.
_DITHER = "dither=bayer:bayer_scale=4:diff_mode=rectangle"


class GifWriter:
    """Encodes RGB frames to an animated GIF that repeats for ever; a context manager.

    The file is written under a temporary name beside it and renamed when the `with` block ends; if it ends by an
    exception, nothing is left. A palette made of all frames would need them all in memory: it is made of samples.

    Args:
        path: Where the GIF goes; an existing file is replaced.
        samples: Frames like those to come, of the same size, at least one; their 256 best colours are the palette.
    """

    def __init__(self, path: str | Path, samples: Sequence[UInt8[np.ndarray, "height width 3"]]) -> None:
        self.path = Path(path).absolute()
        self._partial = self.path.with_name(f".{self.path.stem}.part{self.path.suffix}")
        height, width, _ = samples[0].shape
        self._graph = _Graph(width, height)
        self._graph.reduce_to(_palette(samples))
        self._container = av.open(str(self._partial), "w", format="gif")
        stream = self._container.add_stream("gif", rate=1 / _TICK)
        assert isinstance(stream, VideoStream)
        self._stream: VideoStream = stream
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.time_base = width, height, "pal8", _TICK

    def __enter__(self) -> Self:
        """Start writing."""
        return self

    def write(self, frame: UInt8[np.ndarray, "height width 3"], timestamp_s: float) -> None:
        """Append one RGB frame, shown at `timestamp_s`; timestamps ascend and are rounded to hundredths."""
        self._graph.source.push(_picture(frame, round(timestamp_s / _TICK)))
        self._encode()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name, or remove it after an exception."""
        try:
            if kind is None:
                self._graph.source.push(None)
                self._encode()
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None:
                os.replace(self._partial, self.path)
        finally:
            self._partial.unlink(missing_ok=True)

    def _encode(self) -> None:
        while (frame := self._graph.pull()) is not None:
            self._container.mux(self._stream.encode(frame))


class _Graph:
    """Filters from `source` to `sink`; they live as long as it does."""

    def __init__(self, width: int, height: int) -> None:
        self._graph = Graph()
        pixels = VideoFormat("bgra")
        self.source = self._graph.add_buffer(width=width, height=height, format=pixels, time_base=_TICK, name="frames")
        self._sink = self._graph.add("buffersink")

    def collect_palette(self) -> None:
        """Let the palette of all frames pushed come out at their end."""
        self._connect(self._graph.add("palettegen", "reserve_transparent=0"))

    def reduce_to(self, palette: VideoFrame) -> None:
        """Let each frame come out in these colours."""
        colours = self._graph.add_buffer(
            width=palette.width, height=palette.height, format=palette.format, time_base=_TICK, name="palette"
        )
        reducer = self._graph.add("paletteuse", _DITHER)
        colours.link_to(reducer, 0, 1)
        self._connect(reducer)
        palette.pts, palette.time_base = 0, _TICK
        colours.push(palette)
        colours.push(None)

    def pull(self) -> VideoFrame | None:
        """The next frame that is ready."""
        try:
            frame = self._sink.pull()
        except (NothingYetError, NothingMoreError):
            return None
        assert isinstance(frame, VideoFrame)
        return frame

    def _connect(self, middle: FilterContext) -> None:
        self.source.link_to(middle)
        middle.link_to(self._sink)
        self._graph.configure()


def _palette(samples: Sequence[UInt8[np.ndarray, "height width 3"]]) -> VideoFrame:
    height, width, _ = samples[0].shape
    graph = _Graph(width, height)
    graph.collect_palette()
    for number, sample in enumerate(samples):
        graph.source.push(_picture(sample, number))
    graph.source.push(None)
    palette = graph.pull()
    assert palette is not None
    return palette


def _picture(image: UInt8[np.ndarray, "height width 3"], ticks: int) -> VideoFrame:
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    picture = picture.reformat(format="bgra", threads=1)
    picture.pts, picture.time_base = ticks, _TICK
    return picture
