"""npz files of others: object arrays are pickles, and are read by an unpickler that admits NumPy's arrays only."""

import pickle
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any, cast

import numpy as np

from pipelines.io import storage
from schemas.errors import UserError

# All that pickles of arrays, NumPy scalars and dicts of them name.
_ADMITTED = frozenset(
    [
        *(("numpy", "ndarray"), ("numpy", "dtype")),
        *(
            (f"{core}.multiarray", name)
            for core in ("numpy.core", "numpy._core")
            for name in ("_reconstruct", "scalar")
        ),
        *((f"{core}.numeric", "_frombuffer") for core in ("numpy.core", "numpy._core")),
    ]
)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# Poses of people are noise to a compressor, which makes them a few times smaller; zeros a thousand times.
MOST_RATIO, MOST_BYTES = 100, 2 * 10**9
# How reading ends when bytes are missing or changed, in the archive, a header or a pickle.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, EOFError, MemoryError),
    *(ValueError, TypeError, AttributeError, LookupError, NotImplementedError),
)


def read_npz(uri: str, *required: str) -> dict[str, Any]:
    """The arrays of an npz file; an object array of no dimension, such as a dict, as the object itself.

    Args:
        uri: The file.
        required: Names that must be in it.

    Raises:
        UserError: It cannot be read, lacks a name, or holds something else than NumPy's arrays, which is named.
    """
    fs, path = storage.filesystem(uri)
    try:
        with fs.open(path, "rb") as file, zipfile.ZipFile(cast(IO[bytes], file)) as archive:
            _check_size(archive)
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            arrays = {name.removesuffix(".npy"): _read_member(archive, name) for name in names}
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}") from error
    except UserError as error:
        raise UserError(f"{uri}: {error}") from error
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{uri}: is not a whole npz file: {reason}; get it again") from error
    missing = [name for name in required if name not in arrays]
    if missing:
        held = ", ".join(arrays) or "nothing"
        raise UserError(f"{uri}: lacks the array {missing[0]!r}; it holds {held}")
    return arrays


def mapping(uri: str, value: Any, what: str) -> Mapping[str, Any]:
    """A value that must be a dict with names.

    Raises:
        UserError: It is something else.
    """
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise UserError(f"{uri}: {what} must be a dict with names, found {type(value).__name__}")
    return value


def numbers(uri: str, value: Any, what: str, *shape: int) -> np.ndarray:
    """A value that must be a finite array of numbers, as float32.

    Args:
        uri: The file it comes from.
        value: Anything.
        what: What errors call it.
        shape: What its shape must be; -1 for any length.

    Raises:
        UserError: It is something else.
    """
    array = value if isinstance(value, np.ndarray) else np.array(None)
    wanted = f"({', '.join('n' if length < 0 else str(length) for length in shape)})"
    fits = len(shape) == array.ndim and all(want in (-1, have) for want, have in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in "fiub" or not fits:
        found = f"{array.dtype} {array.shape}" if array.dtype != object else type(value).__name__
        raise UserError(f"{uri}: {what} must be an array of numbers {wanted}, found {found}")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0][0])
        raise UserError(f"{uri}: {what} is not finite in frame {frame}; cut or mend it there")
    return array


def _check_size(archive: zipfile.ZipFile) -> None:
    """No member gives more than it declares, so that what is declared is what memory must hold."""
    members = archive.infolist()
    unpacked, packed = (sum(getattr(m, name) for m in members) for name in ("file_size", "compress_size"))
    if unpacked > MOST_BYTES and unpacked > MOST_RATIO * packed:
        raise UserError(
            f"unpacks to {unpacked / 1e9:,.1f} GB, {unpacked / max(1, packed):,.0f} times its size, as no motion "
            "capture does; get it again"
        )


def _read_member(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{name} has npy version {version}")
        shape, _, dtype = _HEADERS[version](file)
        if dtype.hasobject:
            # Python 2's bytes are strings to Python 3; only latin1 gives every byte back.
            value = _ArrayUnpickler(file, encoding="latin1").load()
            return value.item() if shape == () and isinstance(value, np.ndarray) else value
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """What pickles of protocol 2 call to say bytes."""
    if encoding != "latin1":
        raise ValueError(f"bytes in encoding {encoding!r}")
    return text.encode(encoding)


class _ArrayUnpickler(pickle.Unpickler):
    """Admits what arrays need."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _latin1_bytes
        if (module, name) not in _ADMITTED:
            raise UserError(f"refused: it holds {module}.{name}, and only NumPy's arrays are read from files of others")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
