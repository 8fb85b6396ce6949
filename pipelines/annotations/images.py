"""Reads image files as RGB pixels in the orientation that their labels are for, by OpenCV."""

import io

import cv2
import numpy as np
import PIL.Image
from jaxtyping import UInt8

from pipelines.io import storage
from pipelines.video.errors import VideoError
from pipelines.video.limits import require_size
from schemas.errors import RunFailed

# Pillow's names of the formats that are read.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000")
# COCO's annotations refer to the pixels as stored, without the orientation in EXIF.
_AS_STORED = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_UPRIGHT = cv2.IMREAD_COLOR_RGB

Image = UInt8[np.ndarray, "height width 3"]


class ImageError(Exception):
    """An image that cannot be read; the message gives the reason in one line."""


def read_image(uri: str, size_wh: tuple[int, int] | None = None) -> Image:
    """Read and decode an image; grey, transparent and 16-bit ones become RGB of 8 bits.

    Annotation tools that show pictures of phones upright, as EXIF says, write the size of the upright picture. Such a
    picture is turned; all others keep their stored orientation.

    Args:
        uri: The image.
        size_wh: Width and height for which it was labeled, px; None if unknown.

    Raises:
        ImageError: It is missing, cannot be reached, is damaged, is no image, or has another size.
        RunFailed: The store of the image does not answer at all, so that no image there can be read.
    """
    try:
        data = storage.read_bytes(uri)
    except RunFailed as error:
        # A broken answer may concern this image only. If the store is gone, this call raises RunFailed.
        storage.exists(uri)
        raise ImageError(str(error)) from error
    except FileNotFoundError as error:
        raise ImageError("there is no such file") from error
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
    stored = decode_image(data)
    if size_wh is None or _size_wh(stored) == size_wh:
        return stored
    upright = decode_image(data, _UPRIGHT)
    if _size_wh(upright) == size_wh:
        return upright
    width, height = _size_wh(stored)
    raise ImageError(f"is {width} × {height} px, the annotations say {size_wh[0]} × {size_wh[1]}")


def decode_image(data: bytes, mode: int = _AS_STORED) -> Image:
    """Decode the bytes of an image file.

    Args:
        data: The bytes.
        mode: Flags of OpenCV.

    Raises:
        ImageError: They are damaged or no image.
    """
    if not data:
        raise ImageError("the file is empty")
    _require_size(data)
    try:
        # OpenCV returns None for a truncated file; half an image would be scored like a whole one.
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except cv2.error as error:
        raise ImageError(f"cannot be decoded: {error.err}") from error
    if pixels is None:
        raise ImageError("cannot be decoded: damaged, cut short, or no image")
    return pixels


def _size_wh(image: Image) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _require_size(data: bytes) -> None:
    """Check the size in the header, before OpenCV takes memory for it: a file of 100 kB may claim 6 GB of pixels.

    Raises:
        ImageError: It is too large, or the format is none of those that are read.
    """
    try:
        with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as header:
            require_size(*header.size)
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f"claims too many pixels: {error}") from error
    except VideoError as error:
        raise ImageError(str(error)) from error
    except Exception as error:  # damaged headers raise exceptions of many types
        raise ImageError("cannot be decoded: damaged, cut short, or no image") from error
