"""Reads ranges of frames by exact index, with a decoder that is correct for the video."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
from jaxtyping import UInt8

from pipelines.video.decord_decoder import DecordDecoder, why_not_decord
from pipelines.video.errors import DecoderFault, VideoError
from pipelines.video.frames import DecoderName, Frames
from pipelines.video.info import VideoInfo
from pipelines.video.numbered import NumberedPictures
from pipelines.video.probe import probe
from pipelines.video.pyav_decoder import PyavDecoder

# Longest distance of keyframes, in frames, for which decord is used: it starts each read from a keyframe, while PyAV
# continues. Measured by `benchmarks/decode.py`, scaled reads by decord take at most a fifth longer than PyAV's if
# keyframes are at most a second apart, and much longer beyond that.
DECORD_LONGEST_GOP = 30


class Decoder(Protocol):
    """Decodes ranges of one video that it was opened for.

    Attributes:
        name: Its name.
        resized: The frames of the last range that are of another shape than the first frame of the video.
    """

    name: DecoderName
    resized: tuple[int, ...]

    def read(self, start: int, stop: int) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        """Yield (index, image) of every frame of [start, stop) that decodes, ascending."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


def ordinary_memory(shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."]:
    """A new array, as `numpy.empty` makes it."""
    return np.empty(shape, np.uint8)


class VideoReader:
    """Frame-exact ranges of one video; a context manager.

    Consecutive ranges are decoded once by PyAV, whatever the distance of the keyframes.

    Args:
        path: The file, or the address of numbered pictures.
        max_side: Pixels of the longer side of the images at most; they are scaled while decoding, never
            enlarged. None keeps the size of the video.
        decoder: "auto" uses decord where it is correct and not much slower, else PyAV, and changes to PyAV for good
            when decord fails; "decord" uses decord or raises; "pyav" is correct for every video. Numbered pictures
            are decoded by OpenCV.
        info: The result of `probe`, if it is known already.
        threads: Threads to decode with. One by default: decoding many videos in parallel uses the CPUs better.
        allocate: Returns the uint8 array of a given shape that frames are decoded into.

    Raises:
        VideoError: The file cannot be read as a video, or decord was requested and is not correct for it.
    """

    def __init__(
        self,
        path: str | Path,
        max_side: int | None = None,
        decoder: Literal["auto", "decord", "pyav"] = "auto",
        info: VideoInfo | None = None,
        threads: int = 1,
        allocate: Callable[[tuple[int, ...]], UInt8[np.ndarray, "..."]] = ordinary_memory,
    ) -> None:
        self.info = info or probe(path)
        self._path, self._threads, self._choice = Path(path).absolute(), threads, decoder
        self._allocate = allocate
        self._width, self._height = self.info.size_within(max_side)
        self._decoder = self._open_decoder()

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._decoder.close()

    def read(self, start: int, stop: int) -> Frames:
        """Decode the frames [start, stop) of `info.timestamps_s`.

        Raises:
            IndexError: The video has no such range.
            VideoError: decord was requested and failed.
        """
        if not 0 <= start < stop <= self.info.frame_count:
            raise IndexError(f"frames {start} to {stop} of a video of {self.info.frame_count}")
        try:
            return self._read(start, stop)
        except DecoderFault as fault:
            if self._choice == "decord":
                raise VideoError(f"{fault}; decoder=auto goes on with PyAV") from fault
            self._decoder.close()
            self._decoder = self._open_pyav()
            return self._read(start, stop)

    def _read(self, start: int, stop: int) -> Frames:
        images = self._allocate((stop - start, self._height, self._width, 3))
        indices: list[int] = []
        for index, image in self._decoder.read(start, stop):
            images[len(indices)] = image
            indices.append(index)
        return Frames(
            images=images[: len(indices)],
            indices=np.array(indices, np.int64),
            timestamps_s=self.info.timestamps_s[indices],
            decoder=self._decoder.name,
            damage="; ".join(self._damage(start, stop, indices)) or None,
        )

    def _damage(self, start: int, stop: int, decoded: Sequence[int]) -> Iterator[str]:
        """The damage in a range, in words."""
        if missing := set(range(start, stop)) - set(decoded):
            yield f"{len(missing)} of {stop - start} frames damaged: {_named(missing)}"
        if resized := self._decoder.resized:
            yield f"{len(resized)} frames of another shape, shown whole with bars beside them: {_named(set(resized))}"

    def _open_decoder(self) -> Decoder:
        if pictures := NumberedPictures.of_address(self._path):
            from pipelines.video.pictures import PictureDecoder  # here: it loads OpenCV, which films do not need

            return PictureDecoder(pictures, self.info, self._width, self._height)
        if self._choice == "pyav":
            return self._open_pyav()
        refusal = why_not_decord(self.info)
        if self._choice == "decord" and refusal:
            raise VideoError(f"decoder=decord: not right for this video ({refusal}); decoder=auto takes PyAV")
        if refusal or (self._choice == "auto" and not self._decord_is_fast()):
            return self._open_pyav()
        try:
            return DecordDecoder(self._path, self.info, self._width, self._height, self._threads)
        except DecoderFault as fault:
            if self._choice == "decord":
                raise VideoError(f"{fault}; decoder=auto takes PyAV") from fault
            return self._open_pyav()

    def _decord_is_fast(self) -> bool:
        scaled = self._width < self.info.width
        return scaled and self.info.index.longest_gop <= DECORD_LONGEST_GOP

    def _open_pyav(self) -> Decoder:
        return PyavDecoder(self._path, self.info, self._width, self._height, self._threads)


def _named(frames: set[int]) -> str:
    """Numbers of frames, runs as "first-last"."""
    # Within a run of consecutive numbers, the number minus its rank is constant.
    runs = [
        [frame for _, frame in run] for _, run in groupby(enumerate(sorted(frames)), lambda pair: pair[1] - pair[0])
    ]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
