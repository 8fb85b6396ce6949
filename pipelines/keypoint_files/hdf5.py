"""HDF5 files of unknown origin: reads only arrays in the file itself, no larger than tables of keypoints.

HDF5 can name arrays of other files, which would then be opened here, and packed zeros can claim any size. Needs h5py.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from pipelines.io import storage
from schemas.errors import UserError

if TYPE_CHECKING:
    import h5py

# An hour of ten animals of 30 joints at 60 frames/s has 1 GB; compressed zeros could claim any size.
LARGEST_BYTES = 2 * 10**9
# The value of H5L_TYPE_HARD in HDF5's library.
_HARD_LINK = 0


@contextmanager
def opened(uri: str, source: str) -> Iterator["h5py.File"]:
    """A file, from memory: nothing else is opened with it.

    Args:
        uri: The file.
        source: The source whose files these are, for messages.

    Raises:
        UserError: h5py is not installed.
        OSError, ValueError: The file is not HDF5, or damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"source.name={source}: needs h5py; pip install 'raylift[{source}]'") from error
    try:
        with h5py.File(io.BytesIO(storage.read_bytes(uri, unparsed=True)), "r") as file:
            yield file
    except RuntimeError as error:
        raise ValueError(f"is damaged: {error}") from error


def own_array(group: "h5py.Group", name: str, largest_bytes: int = LARGEST_BYTES) -> "h5py.Dataset":
    """An array of a group, not yet read.

    Args:
        group: The group, or the file.
        name: Name of the array.
        largest_bytes: What it may take in memory, with each of its numbers as one of eight bytes.

    Raises:
        ValueError: The array is a link, lies in other files, or claims to be larger.
        KeyError: There is no such array.
    """
    import h5py

    require_own(group, name)
    array = group[name]
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise ValueError(f"{name} is kept in other files")
    # Chunks are read as a whole, even if the array is smaller than a chunk.
    size = max(prod(array.shape), prod(array.chunks or ())) * bytes_as_doubles(array.dtype)
    if size > largest_bytes:
        raise ValueError(f"{name} has {size:,} bytes, at most {largest_bytes:,} are read")
    return array


def bytes_as_doubles(dtype: np.dtype) -> int:
    """Bytes of an element of an array after its numbers are converted to eight bytes each."""
    fields = [field[0] for field in (dtype.fields or {}).values()] or [dtype]
    return max(dtype.itemsize, 8 * sum(prod(field.shape) for field in fields))


def require_own(group: "h5py.Group", name: str) -> None:
    """Check that an object lies in the group itself; links are refused, as they may lead to another file.

    Raises:
        ValueError: The name is a link.
        KeyError: There is nothing of this name.
    """
    if group.id.links.get_info(name.encode()).type != _HARD_LINK:
        raise ValueError(f"{name} is a link")
