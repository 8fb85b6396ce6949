"""Parquet files with one track per row: their format is checked, and chosen rows are read without the rest of the file.

Both formats of this room use it: tracks (`keypoint_reader.py`) and poses (`lifted_reader.py`).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from pipelines.io import storage
from pipelines.io.columns import misfit, text_of
from pipelines.io.parquet import ParquetTable
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.errors import UserError

# This many rows are decoded at a time: a minute of one person is at most 0.7 MB, so hour-long tracks stay well below 1
# GB.
_BATCH_ROWS = 16
Row = TypeVar("Row")


@dataclass(frozen=True)
class RowFormat:
    """A Parquet format of this project, and the commands that error messages point to.

    Attributes:
        noun: What the rows are called: "tracks", "poses".
        format: Its name and version: "raylift.tracks/1".
        schema: Its columns; those that may not be null are in every file.
        writers: The commands that write it, as a clause: "poses are written by raylift lift".
        read_failure_fix: What to do with a file that cannot be read.
        old_version_fix: How to replace a file of an older version.
        stands_for: Format of files that stand for rows of others and are taken as well, if there is one.
    """

    noun: str
    format: str
    schema: pa.Schema
    writers: str
    read_failure_fix: str
    old_version_fix: str
    stands_for: str | None = None

    def check(self, uri: str) -> dict[bytes, bytes]:
        """The metadata of a file of this format.

        Raises:
            UserError: The file cannot be read, has another format or version, or not the columns of its format.
        """
        try:
            schema = storage.read_schema(uri, self.noun, self.read_failure_fix)
        except OSError as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{uri}: cannot be read as a {self.noun} file: {reason}; {self.read_failure_fix}"
            ) from error
        existing, writer = (text_of(schema.metadata, key) for key in (FORMAT_KEY, VERSION_KEY))
        if existing == self.format:
            required = [field.name for field in self.schema if not field.nullable]
            if wrong := misfit(schema, self.schema, required):
                raise UserError(f"{uri}: {wrong}; {self.read_failure_fix}")
        if existing in (self.format, self.stands_for):
            return schema.metadata
        kind, _, version = existing.partition("/")
        own_kind, _, own_version = self.format.partition("/")
        if kind != own_kind:
            fix = self.writers
        elif version.isdecimal() and len(version) < 9 and int(version) > int(own_version):
            fix = f"raylift {writer} wrote it: update this one (git pull)"
        else:
            fix = f"raylift {writer} wrote it: {self.old_version_fix}"
        raise UserError(f"{uri}: has format {existing!r}, this version reads {self.format!r}; {fix}")


def read_rows(uri: str, columns: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a file, one after another; lists come as NumPy arrays.

    Only the row groups that hold the rows are read, and the last of them only as far as needed.

    Args:
        uri: The file.
        columns: Which columns. One that the file lacks, because an earlier version wrote it, is None in every row.
        rows: Row numbers, ascending; all rows if not given.

    Raises:
        UserError: The file is damaged, or a row group would take too much memory.
    """
    with storage.open_table(uri) as file:
        lacking = dict.fromkeys(set(columns) - set(file.schema.names))
        present = [name for name in columns if name not in lacking]
        first = 0
        for group in range(file.metadata.num_row_groups):
            stop = first + file.metadata.row_group(group).num_rows
            requested = range(first, stop) if rows is None else _between(rows, first, stop)
            for row in _group_rows(file, group, first, requested, present):
                yield lacking | row
            first = stop


def made(make: Callable[[dict[str, Any]], Row], row: dict[str, Any], file: str) -> Row:
    """Make an object of a row, whose values somebody else may have written.

    Raises:
        UserError: Lists differ in length from the frames, values are missing, or the camera is impossible.
    """
    try:
        return make(row)
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{file}: track {row['track_id']!r} is damaged: {reason}; remove it and write it again"
        ) from error


def _group_rows(
    file: ParquetTable, group: int, first: int, requested: Sequence[int], columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Rows of one row group, which starts at row `first` of the file."""
    if not requested:
        return
    # Each iteration covers one group, because Arrow keeps the bytes of all the groups that an iteration covers.
    for batch in file.batches(group, _BATCH_ROWS, columns):
        for row in _between(requested, first, first + len(batch)):
            yield {name: _value(batch.column(name), row - first) for name in columns}
        first += len(batch)
        if first > requested[-1]:
            return


def _between(rows: Sequence[int], first: int, stop: int) -> Sequence[int]:
    return rows[bisect_left(rows, first) : bisect_left(rows, stop)]


def _value(column: pa.Array, row: int) -> Any:
    """A list as a NumPy array, without slow Python numbers in between; any other value as a Python object."""
    value = column[row]
    if isinstance(value, pa.ListScalar) and value.is_valid:
        return value.values.to_numpy(zero_copy_only=False)
    return value.as_py()
