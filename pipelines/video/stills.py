"""Decodes single pictures with OpenCV, after checking the size in their header."""

import io

import cv2
import numpy as np
import PIL.Image
from jaxtyping import UInt8

from pipelines.video.errors import VideoError
from pipelines.video.limits import require_size

# Pillow's names of the formats that are read.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000")
_NO_PICTURE = "cannot be decoded: damaged, cut short, or no image"

# OpenCV's flags that ignore or follow the orientation in EXIF.
AS_STORED = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
UPRIGHT = cv2.IMREAD_COLOR_RGB


def decode_still(data: bytes, mode: int) -> UInt8[np.ndarray, "height width 3"]:
    """Decode the bytes of a picture; grey, transparent and 16-bit ones become RGB of 8 bits.

    Args:
        data: The bytes.
        mode: `AS_STORED` or `UPRIGHT`.

    Raises:
        VideoError: The bytes are damaged, not a picture, or one that is too large.
    """
    if not data:
        raise VideoError("the file is empty")
    _require_size(data)
    try:
        # OpenCV returns None for a truncated file, which is an error here, because half an image would be scored like a
        # whole one.
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except cv2.error as error:
        raise VideoError(f"cannot be decoded: {error.err}") from error
    if pixels is None:
        raise VideoError(_NO_PICTURE)
    return pixels


def _require_size(data: bytes) -> None:
    """Check the size in the header before OpenCV allocates memory: a file of 100 kB may claim 6 GB of pixels.

    Raises:
        VideoError: The picture is too large, or its format is not supported.
    """
    try:
        with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as header:
            require_size(*header.size)
    except PIL.Image.DecompressionBombError as error:
        raise VideoError(f"claims too many pixels: {error}") from error
    except VideoError:
        raise
    except Exception as error:  # damaged headers raise exceptions of many types
        raise VideoError(_NO_PICTURE) from error
