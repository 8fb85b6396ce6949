"""Reads image files of any format that OpenCV decodes, as RGB pixels in their stored orientation."""

import cv2
import numpy as np
from jaxtyping import UInt8

from pipelines.io import storage
from schemas.errors import RunFailed

# The orientation in EXIF is not applied: COCO's annotations refer to the pixels as stored.
_AS_STORED = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

Image = UInt8[np.ndarray, "height width 3"]


class ImageError(Exception):
    """An image that cannot be read; the message gives the reason in one line."""


def read_image(uri: str) -> Image:
    """Read and decode an image; grey, transparent and 16-bit ones become RGB of 8 bits.

    Raises:
        ImageError: It is missing, cannot be reached, is damaged, or is no image.
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
    return decode_image(data)


def decode_image(data: bytes) -> Image:
    """Decode the bytes of an image file.

    Raises:
        ImageError: They are damaged or no image.
    """
    if not data:
        raise ImageError("the file is empty")
    try:
        # OpenCV returns None for a truncated file; half an image would be scored like a whole one.
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_STORED)
    except cv2.error as error:
        raise ImageError(f"cannot be decoded: {error.err}") from error
    if pixels is None:
        raise ImageError("cannot be decoded: damaged, cut short, or no image")
    return pixels
