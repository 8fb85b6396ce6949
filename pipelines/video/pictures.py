"""Numbered pictures as a video: each number is a moment, and a number that is missing is a frame that is missing."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from pipelines.video.errors import VideoError
from pipelines.video.frames import DecoderName
from pipelines.video.info import FrameIndex, VideoInfo
from pipelines.video.limits import require_frame_count, require_within_limits
from pipelines.video.numbered import NumberedPictures
from pipelines.video.picture_files import PictureFiles
from pipelines.video.stills import UPRIGHT, decode_still

# Rates such as 23.976 are stored as fractions with denominators up to this.
_FINEST = 100_000

Image = UInt8[np.ndarray, "height width 3"]


def probe_pictures(pictures: NumberedPictures) -> VideoInfo:
    """The properties of numbered pictures as a video; its size is that of the first picture that can be read.

    Raises:
        VideoError: There are no pictures, none can be read, or they claim properties that no video has.
    """
    files = PictureFiles(pictures)
    require_frame_count(len(files.numbers))
    first = _first(files)
    files.close()
    numbers = np.array(files.numbers, np.int64)
    steps = np.diff(numbers)
    # The step may exceed 1, because a film of every tenth picture has numbers in steps of ten.
    step = int(np.median(steps)) if len(steps) else 1
    tick = 1 / (Fraction(pictures.fps).limit_denominator(_FINEST) * step)
    missing = int((np.rint(steps / step) - 1).clip(0).sum())
    info = VideoInfo(
        width=first.shape[1],
        height=first.shape[0],
        rotation_deg=0,
        mirrored=False,
        fps=pictures.fps,
        duration_s=float((numbers[-1] - numbers[0] + step) * tick),
        declared_frame_count=None,
        codec=Path(pictures.after).suffix.lower().lstrip("."),
        container="numbered pictures",
        pixel_format="rgb24",
        interlaced=False,
        timestamps_s=(numbers - numbers[0]) * float(tick),
        damage=f"{missing} pictures missing between numbers {numbers[0]} and {numbers[-1]}" if missing else None,
        note=f"numbers in steps of {step}" if step > 1 else None,
        index=FrameIndex(
            pts=numbers - numbers[0],
            time_base=tick,
            keyframes=np.arange(len(numbers)),
            keyframes_reset=True,
            reclocked=False,
            counted=False,
            hidden_packets=0,
            video_streams=1,
        ),
    )
    require_within_limits(info)
    return info


class PictureDecoder:
    """Decodes ranges of numbered pictures; a picture that cannot be read is a damaged frame.

    Args:
        pictures: The pictures.
        info: The result of `probe_pictures`.
        width: Pixels of the image to produce.
        height: Pixels of the image to produce.

    Attributes:
        resized: The frames of the last range that have another shape than the first.
    """

    name: DecoderName = "opencv"

    def __init__(self, pictures: NumberedPictures, info: VideoInfo, width: int, height: int) -> None:
        # The decoding process may not start threads, so OpenCV must not.
        cv2.setNumThreads(1)
        self._info, self._size_wh = info, (width, height)
        self._files = PictureFiles(pictures)
        if len(self._files.numbers) != info.frame_count:
            raise VideoError("pictures came or went while they were read")
        self.resized: tuple[int, ...] = ()

    def read(self, start: int, stop: int) -> Iterator[tuple[int, Image]]:
        """Yield (index, upright RGB image) of every picture of the range that decodes, ascending."""
        self.resized = ()
        for index in range(start, stop):
            try:
                image = decode_still(self._files.read(index), UPRIGHT)
            except VideoError:
                continue
            height, width, _ = image.shape
            if width * self._info.height != height * self._info.width:
                self.resized = (*self.resized, index)
            yield index, self._framed(image)

    def close(self) -> None:
        """Close what is open."""
        self._files.close()

    def _framed(self, image: Image) -> Image:
        """The picture in the middle of one of the video's size, as large as it fits, with black bars."""
        width, height = self._size_wh
        scale = min(width / image.shape[1], height / image.shape[0])
        inner = [max(1, round(side * scale)) for side in (image.shape[1], image.shape[0])]
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        framed = np.zeros((height, width, 3), np.uint8)
        scaled = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
        framed[top : top + inner[1], left : left + inner[0]] = scaled
        return framed


def _first(files: PictureFiles) -> Image:
    reason = "no picture of these numbers is there"
    for place in range(len(files.numbers)):
        try:
            return decode_still(files.read(place), UPRIGHT)
        except VideoError as error:
            reason = f"no picture can be read; {files.name(place)}: {error}"
    raise VideoError(reason)
