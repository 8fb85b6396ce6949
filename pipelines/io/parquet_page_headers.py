"""Reads the numbers in the headers of Parquet's pages, which PyArrow does not expose."""

from typing import Any

import pyarrow as pa


def read_header(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """A structure in Thrift's compact protocol, as far as page headers need it: its numbers and structures by field.

    Raises:
        pa.ArrowInvalid: The bytes are not such a structure.
    """
    try:
        return _structure(data, at, 4)
    except IndexError as error:
        raise pa.ArrowInvalid("is damaged: a page has no header") from error


def _structure(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    fields: dict[int, Any] = {}
    field = 0
    while (head := data[at]) != 0:
        at += 1
        if head >> 4:
            field += head >> 4
        else:
            field, at = _number(data, at)
        kind = head & 15
        if kind in (1, 2):  # true and false
            fields[field] = int(kind == 1)
        elif kind == 3:
            at += 1
        elif kind in (4, 5, 6):
            fields[field], at = _number(data, at)
        elif kind == 7:
            at += 8
        elif kind == 8:
            length, at = _unsigned(data, at)
            at += length
        elif kind == 12 and depth:
            fields[field], at = _structure(data, at, depth - 1)
        else:
            raise pa.ArrowInvalid("is damaged: a page has no header")
    return fields, at + 1


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise pa.ArrowInvalid("is damaged: a page has no header")


def _number(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at
