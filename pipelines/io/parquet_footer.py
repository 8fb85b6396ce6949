"""Checks the footer of a Parquet file before PyArrow reads it.

PyArrow follows nested columns on the stack and ends the process where that is used up, as by 14,000 columns within each
other, which have 98 kB.
"""

import io
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

# Columns may be nested this deep; those of this project are nested three times.
MOST_DEPTH = 100
# Columns and row groups that are read. Each takes time, however little it holds.
MOST_COLUMNS, MOST_GROUPS = 10_000, 10_000
# Bytes of a footer that are read; one of 10,000 row groups has fewer.
_MOST_BYTES = 50_000_000
# Bytes of a footer that cannot be nested too deeply: each level takes seven.
_SMALL = 30_000
# The last bytes of a file: the length of the footer, and letters.
_END, _LETTERS = 8, b"PAR1"
# From the compact protocol of Thrift: kinds of values.
_BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 3, 7, 8, 9, 10, 12
_TRUE_OR_FALSE, _INTEGERS = (1, 2), (4, 5, 6)
# From parquet.thrift: the columns in a footer, and how many are within a column.
_SCHEMA, _NUM_CHILDREN = 2, 5
_DEEPEST_VALUE = 64


def require_readable(file: BinaryIO) -> None:
    """Check that a Parquet file's columns are not nested too deeply; anything else that is wrong is PyArrow's to say.

    Raises:
        pa.ArrowInvalid: They are, or the footer is damaged or too long.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END))
    end = file.read(_END)
    length = int.from_bytes(end[:4], "little")
    if end[4:] == _LETTERS and _SMALL < length <= size - _END:
        if length > _MOST_BYTES:
            raise pa.ArrowInvalid(f"has a footer of {length:,} bytes, and at most {_MOST_BYTES:,} are read")
        file.seek(size - _END - length)
        try:
            _Footer(file.read(length)).check()
        except IndexError as error:
            raise pa.ArrowInvalid("is damaged: its footer ends too early") from error
    file.seek(0)


def require_countable(metadata: pq.FileMetaData) -> None:
    """Check that a file has no more columns and row groups than are read.

    Raises:
        pa.ArrowInvalid: It has more.
    """
    for count, most, what in (
        (metadata.num_columns, MOST_COLUMNS, "columns"),
        (metadata.num_row_groups, MOST_GROUPS, "row groups"),
    ):
        if count > most:
            raise pa.ArrowInvalid(f"has {count:,} {what}, and at most {most:,} are read")


class _Footer:
    """Reads a footer from its beginning to its end, of which only the columns are looked at."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def check(self) -> None:
        """Raise pa.ArrowInvalid if columns are nested too deeply."""
        field = 0
        while head := self._data[self._at]:
            field, kind = self._field(field, head)
            # A field that comes twice replaces the first.
            if field == _SCHEMA and kind == _LIST:
                self._check_columns()
            else:
                self._skip(kind, 0)

    def _check_columns(self) -> None:
        count, kind = self._list_head()
        if kind != _STRUCT:
            raise pa.ArrowInvalid("is damaged: its footer has no columns")
        left: list[int] = []  # of each column around this one, how many are still to come
        for _ in range(count):
            while left and not left[-1]:
                left.pop()
            if left:
                left[-1] -= 1
            if (within := self._num_children()) > 0:
                left.append(within)
            if len(left) > MOST_DEPTH:
                raise pa.ArrowInvalid(f"has columns within each other, more than {MOST_DEPTH} deep")

    def _num_children(self) -> int:
        """Read a column; returns how many are within it."""
        field = within = 0
        while head := self._data[self._at]:
            field, kind = self._field(field, head)
            if field == _NUM_CHILDREN and kind in _INTEGERS:
                number = self._number()
                within = (number >> 1) ^ -(number & 1)
            else:
                self._skip(kind, 0)
        self._at += 1
        return within

    def _field(self, last: int, head: int) -> tuple[int, int]:
        """The number and kind of a field, whose first byte is `head`."""
        self._at += 1
        if head >> 4:
            return last + (head >> 4), head & 15
        number = self._number()
        return (number >> 1) ^ -(number & 1), head & 15

    def _skip(self, kind: int, depth: int, within_list: bool = False) -> None:
        """Go on behind a value."""
        if kind in _INTEGERS:
            self._number()
        elif kind in _TRUE_OR_FALSE:
            self._at += within_list
        elif kind == _BYTE:
            self._at += 1
        elif kind == _DOUBLE:
            self._at += 8
        elif kind == _BINARY:
            length = self._number()
            self._at += length
        elif depth > _DEEPEST_VALUE:
            raise pa.ArrowInvalid("is damaged: its footer is nested too deeply")
        elif kind == _STRUCT:
            field = 0
            while head := self._data[self._at]:
                field, inner = self._field(field, head)
                self._skip(inner, depth + 1)
            self._at += 1
        elif kind in (_LIST, _SET):
            count, inner = self._list_head()
            for _ in range(count):
                self._skip(inner, depth + 1, within_list=True)
        else:  # a map, of which Parquet has none, or no kind of Thrift's
            raise pa.ArrowInvalid("is damaged: its footer has values of no known kind")

    def _list_head(self) -> tuple[int, int]:
        """How many values a list has, and their kind."""
        head = self._data[self._at]
        self._at += 1
        return (head >> 4 if head >> 4 < 15 else self._number()), head & 15

    def _number(self) -> int:
        """A whole number of at most ten bytes, without its sign."""
        value = shift = 0
        while shift < 70:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise pa.ArrowInvalid("is damaged: its footer has a number without an end")
