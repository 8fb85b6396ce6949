"""Decoding by PyAV: handles every codec, survives damage, and continues where the last read stopped."""

from collections.abc import Iterator
from itertools import chain, dropwhile
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from jaxtyping import Int64, UInt8

from pipelines.video.clock import Clock
from pipelines.video.container import decode_or_skip, open_video, whole_packets
from pipelines.video.frames import DecoderName
from pipelines.video.info import VideoInfo


class PyavDecoder:
    """Decodes ranges of one video; a range that starts where the last one ended needs no seek.

    Args:
        path: The file.
        info: The result of `probe`.
        width: Pixels of the displayed image to produce.
        height: Pixels of the displayed image to produce.
        threads: Threads of the decoder and of the scaler.

    Attributes:
        resized: The frames of the last range that have another shape than the first frame of the video.
    """

    name: DecoderName = "pyav"

    def __init__(self, path: str | Path, info: VideoInfo, width: int, height: int, threads: int) -> None:
        self._path, self._info, self._threads = path, info, threads
        self._quarter_turns = info.rotation_deg // 90
        self._stored_size = (width, height) if self._quarter_turns % 2 == 0 else (height, width)
        self._container, self._stream = open_video(path, threads)
        # The size is 0 if the file does not tell it before a frame is decoded.
        self._first_wh = self._stream.codec_context.width, self._stream.codec_context.height
        self.resized: tuple[int, ...] = ()
        self._frames = self._decode()
        # The iterator `_frames` still yields every frame from this index on.
        self._next = 0
        # The frame that was decoded but not yet returned, if there is one.
        self._pending: tuple[int, VideoFrame] | None = None

    def read(self, start: int, stop: int) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        """Yield (index, upright RGB image) of every frame of the range that decodes, ascending."""
        self._go_to(start)
        self.resized = ()
        while self._next < stop and (self._pending or self._pull()):
            assert self._pending is not None
            index, frame = self._pending
            if index >= stop:
                break
            self._pending = None
            # A damaged stream may have two frames with the same time; only the first is used.
            if index >= max(start, self._next):
                if self._has_another_shape(frame):
                    self.resized = (*self.resized, index)
                yield index, self._upright_rgb(frame)
            self._next = max(self._next, index + 1)
        self._next = max(self._next, stop)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _go_to(self, start: int) -> None:
        """Make sure that `start` is still ahead: by continuing, from a keyframe, or from the beginning."""
        index = self._info.index
        keyframes = index.keyframes[index.keyframes <= start]
        nearest = int(keyframes[-1]) if len(keyframes) and not index.from_start else 0
        if nearest <= self._next <= start or self._next == start:
            return
        self._next = start
        if not index.from_start and self._seek_back(keyframes, start):
            return
        self._container.close()
        self._container, self._stream = open_video(self._path, self._threads)
        self._frames, self._pending = self._decode(), None

    def _seek_back(self, keyframes: Int64[np.ndarray, " keyframes"], start: int) -> bool:
        """Seek to the nearest keyframe whose first decoded frame is not past `start`.

        The nearest keyframe may be damaged, recover only after some frames, or be missed by the container's seek. Each
        try therefore goes back twice as many keyframes as the last one.
        """
        back = 1
        while back <= len(keyframes):
            try:
                self._container.seek(int(self._info.index.pts[keyframes[-back]]), stream=self._stream)
            except FFmpegError:
                return False
            self._frames = self._decode(sought=True)
            if self._pull() and self._pending and self._pending[0] <= start:
                return True
            back *= 2
        return False

    def _pull(self) -> bool:
        self._pending = next(self._frames, None)
        return self._pending is not None

    def _decode(self, sought: bool = False) -> Iterator[tuple[int, VideoFrame]]:
        """(index, frame) from the current position to the end; packets that cannot be decoded are skipped.

        A frame that the decoder concealed (`is_corrupt`) counts as decoded, because the flag depends on the number of
        threads.

        Args:
            sought: The position is where a seek has ended, which may lie behind the keyframe. Decoders of MPEG-4 do not
                wait for the next one.
        """
        counted = 0
        packets = whole_packets(self._container, self._stream)
        if sought:
            packets = dropwhile(lambda packet: not packet.is_keyframe, packets)
        if self._info.index.reclocked:
            packets = Clock(self._stream).forward(packets)
        for packet in chain(packets, [None]):
            frames = decode_or_skip(self._stream, packet)
            if frames is None:
                counted += 1  # the frame of this packet is lost; the frames after it keep their numbers
                continue
            for frame in frames:
                index = counted if self._info.index.counted else self._index_of(frame)
                counted += 1
                if index is not None:
                    yield index, frame

    def _index_of(self, frame: VideoFrame) -> int | None:
        """The number of the frame, by its time; None if it is not a presented frame."""
        if frame.pts is None:
            return None
        index = int(np.searchsorted(self._info.index.pts, frame.pts))
        exact = index < self._info.frame_count and self._info.index.pts[index] == frame.pts
        return index if exact else None

    def _upright_rgb(self, frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        width, height = self._stored_size
        image = self._framed(frame) if self._has_another_shape(frame) else self._scaled(frame, width, height)
        if self._info.mirrored:
            image = image[:, ::-1]
        return np.rot90(image, self._quarter_turns)

    def _scaled(self, frame: VideoFrame, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
        # decord scales bilinearly; with the same method, both decoders give the same pixels.
        return frame.reformat(width, height, "rgb24", interpolation="BILINEAR", threads=self._threads).to_ndarray()

    def _has_another_shape(self, frame: VideoFrame) -> bool:
        """Whether its sides have another ratio than those of the video's first frame."""
        width, height = self._first_wh
        return bool(width and height) and frame.width * height != frame.height * width

    def _framed(self, frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        """The frame in the middle of a picture of the video's size, as large as it fits, with black bars."""
        width, height = self._stored_size
        # The number of picture pixels per pixel of the first frame, across and down; its pixels may not be square.
        stretch = np.array([width, height]) / self._first_wh
        across, down = stretch * min(self._first_wh[0] / frame.width, self._first_wh[1] / frame.height)
        inner_width, inner_height = max(1, round(frame.width * across)), max(1, round(frame.height * down))
        image = np.zeros((height, width, 3), np.uint8)
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        image[top : top + inner_height, left : left + inner_width] = self._scaled(frame, inner_width, inner_height)
        return image
