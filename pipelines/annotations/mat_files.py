"""Numeric arrays of .mat files, level 5 (Matlab 5 to 7.2), of unknown origin; "MAT-File Format" describes them.

SciPy's reader is not used: it is compiled code that ends the process for some damaged files.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_HEADER_BYTES, _MOST_DIMENSIONS = 128, 32
# The name of a variable is within this many bytes, since it has at most 63 letters.
_HEAD_BYTES = 1024
# Most bytes that all elements may unpack to; head boxes and joints of 100,000 people take less than half of them.
_MOST_BYTES = 100_000_000
_COMPRESSED, _MATRIX = 15, 14
# The kinds of the parts of a matrix before its numbers, and NumPy's names for the kinds of numbers.
_INT8, _INT32, _UINT32 = 1, 5, 6
_KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
# The classes of matrices that hold numbers: double, single, and whole numbers. Others hold texts, cells or structs.
_CLASSES, _COMPLEX = range(6, 16), 0x0800


def read_mat(data: bytes, names: Sequence[str]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Those of some variables that a file has, as arrays of their own axes.

    Args:
        data: The file.
        names: The variables; others are not unpacked further than to their name.

    Raises:
        ValueError: The file is no .mat file of this level, is damaged, unpacks to too many bytes, or a variable holds
            no real numbers.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[_HEADER_BYTES - 2 : _HEADER_BYTES])
    if order is None or data[_HEADER_BYTES - 4 : _HEADER_BYTES - 2] not in (b"\0\1", b"\1\0"):
        raise ValueError("it is not of Matlab 5 to 7.2; save it with -v7")
    variables, left = {}, _MOST_BYTES
    for kind, content in _elements(memoryview(data)[_HEADER_BYTES:], order):
        if kind == _COMPRESSED:
            *_, name = _head(_unpacked(content, _HEAD_BYTES)[8:], order)
        elif kind == _MATRIX:
            *_, name = _head(content, order)
        else:
            continue
        if name in names:
            matrix = content if kind == _MATRIX else _unpacked(content, left + 16)[8:]
            left -= len(matrix)
            if left < 0:
                raise ValueError(f"its variables unpack to more than {_MOST_BYTES / 1e6:,.0f} MB")
            variables[name] = _numbers(matrix, order)
    return variables


def _unpacked(content: memoryview, most: int) -> memoryview:
    """The beginning of a compressed element."""
    try:
        return memoryview(zlib.decompressobj().decompress(content, most))
    except zlib.error as error:
        raise ValueError(f"it is damaged: {error}") from error


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """(kind, content) of the elements that follow each other; each begins at a multiple of 8 bytes."""
    at = 0
    while at + 8 <= len(data):
        kind, size = np.frombuffer(data[at : at + 8], f"{order}u4").tolist()
        begin, step = at + 8, 8 + size
        if kind >> 16:  # a small element: four bytes of content beside its size
            kind, size, begin, step = kind & 0xFFFF, kind >> 16, at + 4, 8
            if size > 4:
                raise ValueError("it is damaged: an element is larger than its place")
        if begin + size > len(data):
            raise ValueError("it is damaged: an element ends behind the file")
        yield kind, data[begin : begin + size]
        # Compressed elements alone follow without a gap.
        at += step if kind == _COMPRESSED else step + -step % 8


def _head(matrix: memoryview, order: str) -> tuple[Iterator[tuple[int, memoryview]], list[int], list[int], str]:
    """What a matrix begins with: the parts that follow, its flags, its shape and its name."""
    parts = _elements(matrix, order)
    contents = []
    for wanted in (_UINT32, _INT32, _INT8):
        kind, content = next(parts, (0, memoryview(b"")))
        if kind != wanted:
            raise ValueError("it is damaged: a variable is incomplete")
        contents.append(content)
    flags, shape = (np.frombuffer(part[: len(part) // 4 * 4], f"{order}i4").tolist() for part in contents[:2])
    return parts, flags, shape, contents[2].tobytes().decode("latin1")


def _numbers(matrix: memoryview, order: str) -> np.ndarray[Any, np.dtype[Any]]:
    parts, flags, shape, name = _head(matrix, order)
    if not flags or flags[0] & 0xFF not in _CLASSES or flags[0] & _COMPLEX:
        raise ValueError(f"{name} holds no real numbers")
    kind, content = next(parts, (0, memoryview(b"")))
    if kind not in _KINDS or len(shape) > _MOST_DIMENSIONS or min(shape, default=-1) < 0:
        raise ValueError(f"it is damaged: {name} has no shape or no numbers")
    dtype = np.dtype(f"{order}{_KINDS[kind]}")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"it is damaged: {name} {tuple(shape)} has {len(content):,} bytes of numbers")
    return np.frombuffer(content, dtype).reshape(shape, order="F")
