"""Reads npz files of unknown origin. Their object arrays are pickles, which may only contain NumPy's arrays."""

import math
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from pipelines.io import storage
from pipelines.io.pickled_tuples import RepeatedTuples
from schemas.errors import UserError

# Characters of a name, such as a subject's.
_LONGEST_NAME = 200
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# Larger files with a higher compression ratio are refused. Poses shrink to a few times less; a file that is made to
# fill the memory, for example with zeros, shrinks a thousand times.
MAX_RATIO, MAX_BYTES = 100, 2 * 10**8
# Files of poses hold a handful of arrays; each takes a fifth of a millisecond to find and read.
_MOST_ARRAYS = 10_000
_REPEATED = "it names the same list, dict or array again and again; write each value out"
# The exceptions that reading an archive, a header or a pickle with missing or changed bytes raises.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, EOFError, MemoryError),
    *(ValueError, TypeError, AttributeError, LookupError, NotImplementedError, RecursionError, ArithmeticError),
    *(struct.error, AssertionError),
)


def read_npz(uri: str, *required: str) -> dict[str, Any]:
    """The arrays of an npz file. An object array without dimensions, such as a dict, is returned as the object itself.

    Args:
        uri: The file.
        required: Names of arrays that it must hold.

    Raises:
        UserError: The file cannot be read, a name is missing, or it holds other objects than NumPy's arrays.
    """
    try:
        with storage.open_file(uri) as file, zipfile.ZipFile(file) as archive:
            _check_size(archive)
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            arrays = {name.removesuffix(".npy"): _read_member(archive, name) for name in names}
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}") from error
    except UserError as error:
        raise UserError(f"{uri}: {error}") from error
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{uri}: is not a whole npz file: {reason}; get it again") from error
    missing = [name for name in required if name not in arrays]
    if missing:
        raise UserError(f"{uri}: lacks the array {missing[0]!r}; it holds {', '.join(arrays) or 'nothing'}")
    return arrays


def mapping(uri: str, value: Any, what: str) -> Mapping[str, Any]:
    """Check that a value is a dict whose keys are names, which become those of tracks and stand in messages.

    Raises:
        UserError: The value is not a dict whose keys are names of one line.
    """
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise UserError(f"{uri}: {what} must be a dict with names, found {type(value).__name__}")
    if odd := next((name for name in value if len(name) > _LONGEST_NAME or not name.isprintable()), None):
        raise UserError(
            f"{uri}: {what} has the name {odd[:40]!r} of {len(odd):,} characters; names must be printable and have at "
            f"most {_LONGEST_NAME}"
        )
    return value


def numbers(uri: str, value: Any, what: str, *shape: int, finite: bool = True) -> np.ndarray:
    """Check that a value is an array of numbers, and return it as float32.

    Args:
        uri: The file that holds it.
        value: Any object.
        what: Its name in error messages.
        shape: The required shape; -1 for any length.
        finite: Whether all of them must be finite.

    Raises:
        UserError: The value is not such an array.
    """
    array = value if isinstance(value, np.ndarray) else np.array(None)
    expected = f"({', '.join('n' if length < 0 else str(length) for length in shape)})"
    fits = len(shape) == array.ndim and all(want in (-1, have) for want, have in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in "fiub" or not fits:
        actual = f"{array.dtype} {array.shape}" if array.dtype != object else type(value).__name__
        raise UserError(f"{uri}: {what} must be an array of numbers {expected}, found {actual}")
    array = array.astype(np.float32)
    if finite and not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0][0])
        raise UserError(f"{uri}: {what} is not finite in frame {frame}; remove or correct that frame")
    return array


def _check_size(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that would fill the memory; no member unpacks to more bytes than it declares."""
    members = archive.infolist()
    if len(members) > _MOST_ARRAYS:
        raise UserError(f"holds {len(members):,} arrays, at most {_MOST_ARRAYS:,} are read; get it again")
    unpacked, packed = (sum(getattr(m, name) for m in members) for name in ("file_size", "compress_size"))
    if unpacked > MAX_BYTES and unpacked > MAX_RATIO * packed:
        raise UserError(
            f"unpacks to {unpacked / 1e9:,.1f} GB, {unpacked / max(1, packed):,.0f} times its size, which is no motion "
            "capture; get it again"
        )


def _read_member(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{name} has npy version {version}")
        shape, _, dtype = _HEADERS[version](file)
        if dtype.hasobject:
            # It is followed first, and read once it is known to take no more time than its bytes.
            tuples = RepeatedTuples()
            for code, argument, _ in pickletools.genops(file):
                tuples.follow(code, argument)
    if dtype.hasobject:
        return _read_objects(archive, name, shape)
    stored = archive.getinfo(name).file_size
    if math.prod(shape) * dtype.itemsize > stored:
        raise ValueError(f"{name} claims an array {shape}, and has {stored:,} bytes")
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _read_objects(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> Any:
    with archive.open(name) as file:
        _HEADERS[np.lib.format.read_magic(file)](file)
        # Byte strings pickled by Python 2 are decoded to text; the encoding latin1 keeps every byte.
        value = _ArrayUnpickler(file, encoding="latin1").load()
    _require_written_out(value)
    if isinstance(value, np.ndarray):
        value = value.view(np.ndarray)
    return value.item() if shape == () and isinstance(value, np.ndarray) else value


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """Stands in for `codecs.encode`, with which pickles of protocol 2 store bytes."""
    if encoding != "latin1":
        raise ValueError(f"bytes in encoding {encoding!r}")
    return text.encode(encoding)


class _StoredArray(np.ndarray):
    """An array of a pickle, which takes no more memory than the pickle has bytes."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Fill the array after checking its size against its content, because NumPy reads beyond the end of a list."""
        shape, dtype, _, content = state[-4:]
        stored = len(content) if isinstance(content, list) else len(content) / max(1, dtype.itemsize)
        if math.prod(shape) != stored or dtype.hasobject != isinstance(content, list):
            raise ValueError(f"an array {shape} with {stored:g} values")
        super().__setstate__(state)


def _new_array(*unused: Any) -> _StoredArray:
    """Stands in for `numpy._core.multiarray._reconstruct`, which makes an array of any size."""
    return np.ndarray.__new__(_StoredArray, (0,), np.int8)


def _scalar(dtype: np.dtype[Any], content: Any) -> Any:
    """Stands in for `numpy._core.multiarray.scalar`, which without content makes a scalar of any size."""
    return np.frombuffer(content if isinstance(content, bytes) else content.encode("latin1"), dtype, 1)[0]


def _from_buffer(content: Any, dtype: np.dtype[Any], shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    """Stands in for `numpy._core.numeric._frombuffer`."""
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _refused(*unused: Any) -> Any:
    """Stands in for `numpy.ndarray`, which pickles name but never call; calling it would expose arbitrary memory."""
    raise UserError("refused: it makes arrays that it does not hold")


# The only functions and classes that pickles of arrays, NumPy scalars and dicts of them refer to.
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("_codecs", "encode"): _latin1_bytes,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): _refused,
    **{
        (f"{core}.{module}", name): function
        for core in ("numpy.core", "numpy._core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _new_array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}


def _require_written_out(value: Any) -> None:
    """Check that an unpickled value is about as large as its pickle: a pickle may name what it holds again and again.

    Raises:
        ValueError: The value holds a list, dict or tuple of others several times, or large arrays many times.
    """
    left, met, again = [value], set[int](), 0
    while left:
        one = left.pop()
        parts = _parts(one)
        if id(one) not in met:
            met.add(id(one))
            left += parts
            continue
        again += one.nbytes if isinstance(one, np.ndarray) else 0
        if again > MAX_BYTES or any(isinstance(part, np.ndarray | Mapping | list | tuple) for part in parts):
            raise ValueError(_REPEATED)


def _parts(value: Any) -> list[Any]:
    """The objects within an object."""
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, np.ndarray):
        return list(value.flat) if value.dtype.hasobject else []
    return list(value) if isinstance(value, list | tuple) else []


class _ArrayUnpickler(pickle._Unpickler):
    """Unpickles arrays, and refuses every other function or class that a pickle refers to.

    It is Python's own unpickler in Python: that in C takes memory for as many objects as a pickle says to remember.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise UserError(f"refused: it holds {module}.{name}, and only NumPy's arrays are read from such files")
        return _ALLOWED[module, name]
