"""Reads image files as RGB pixels in the orientation that their labels are for."""

import numpy as np
from jaxtyping import UInt8

from pipelines.io import storage
from pipelines.video.errors import VideoError
from pipelines.video.stills import AS_STORED, UPRIGHT, decode_still
from schemas.errors import RunFailed

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
        ImageError: The file is missing, cannot be reached, is damaged, is not an image, or has another size.
        RunFailed: The store of the image does not answer at all, so that no image there can be read.
    """
    try:
        data = storage.read_bytes(uri)
    except RunFailed as error:
        # A broken answer may concern only this image. If the whole store is unreachable, this call raises RunFailed.
        storage.exists(uri)
        raise ImageError(str(error)) from error
    except FileNotFoundError as error:
        raise ImageError("there is no such file") from error
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
    stored = decode_image(data)
    if size_wh is None or _size_wh(stored) == size_wh:
        return stored
    upright = decode_image(data, UPRIGHT)
    if _size_wh(upright) == size_wh:
        return upright
    width, height = _size_wh(stored)
    raise ImageError(f"is {width} × {height} px, the annotations say {size_wh[0]} × {size_wh[1]}")


def decode_image(data: bytes, mode: int = AS_STORED) -> Image:
    """Decode the bytes of an image file.

    Args:
        data: The bytes.
        mode: As `decode_still` takes it. COCO's annotations refer to the pixels as stored.

    Raises:
        ImageError: The bytes are damaged, or not an image.
    """
    try:
        return decode_still(data, mode)
    except VideoError as error:
        raise ImageError(str(error)) from error


def _size_wh(image: Image) -> tuple[int, int]:
    return image.shape[1], image.shape[0]
