"""Poses files, read without ever holding a corpus: lifted tracks one by one."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.io import storage
from pipelines.tracks.lifted_track import LiftedTrack
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.errors import UserError
from schemas.formats.poses import FORMAT, POSES

# Rows decoded at a time: a minute of one person is 0.5 MB.
_ROWS = 16


def poses_files(uri: str) -> list[str]:
    """The poses files of a file or a folder, each checked to be of this version's format.

    Raises:
        UserError: Nothing there, no poses files, or files of another format.
    """
    fs, path = storage.filesystem(uri)
    if not fs.exists(path):
        raise UserError(f"{uri}: no such file or folder; give an output of python -m jobs.lift")
    files = storage.list_folder(uri, ".parquet") if fs.isdir(path) else [uri]
    if not files:
        raise UserError(f"{uri}: the folder holds no poses files (*.parquet); write some with python -m jobs.lift")
    for file in files:
        check_format(file)
    return files


def read_lifted(uri: str, rows: Collection[int] | None = None) -> Iterator[LiftedTrack]:
    """The lifted tracks of a poses file or a folder, one after another; tracks that failed are left out.

    Args:
        uri: Where the poses are.
        rows: Which rows of each file; all if not given.

    Raises:
        UserError: As `poses_files`.
    """
    for file in poses_files(uri):
        fs, path = storage.filesystem(file)
        with fs.open(path, "rb") as opened:
            yield from _read(pq.ParquetFile(opened), rows)


def check_format(file: str) -> dict[bytes, bytes]:
    """The metadata of a poses file.

    Raises:
        UserError: It cannot be read, or has another format.
    """
    try:
        metadata = storage.read_schema(file).metadata or {}
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: cannot be read as a poses file: {reason}; remove it and lift again") from error
    found, writer = (metadata.get(key, b"unknown").decode() for key in (FORMAT_KEY, VERSION_KEY))
    if found == FORMAT:
        return metadata
    kind, _, version = found.partition("/")
    if kind != FORMAT.partition("/")[0]:
        fix = "poses are written by python -m jobs.lift"
    elif version.isdecimal() and int(version) > int(FORMAT.partition("/")[2]):
        fix = f"raylift {writer} wrote it: update this one (git pull)"
    else:
        fix = f"raylift {writer} wrote it: write it again with python -m jobs.lift, into a new output"
    raise UserError(f"{file}: has format {found!r}, this version reads {FORMAT!r}; {fix}")


def _read(file: pq.ParquetFile, rows: Collection[int] | None) -> Iterator[LiftedTrack]:
    """A row group at a time: Arrow keeps the bytes of all the groups that one iteration covers."""
    first = 0
    for group in range(file.num_row_groups):
        stop = first + file.metadata.row_group(group).num_rows
        wanted = range(first, stop) if rows is None else sorted(row for row in rows if first <= row < stop)
        batches = file.iter_batches(_ROWS, row_groups=[group], columns=POSES.names) if wanted else iter(())
        for batch in batches:
            for row in (row for row in wanted if first <= row < first + len(batch)):
                values = {name: _value(batch.column(name), row - first) for name in POSES.names}
                if values["error"] is None:
                    yield LiftedTrack.from_row(values)
            first += len(batch)
        first = stop


def _value(column: pa.Array, row: int) -> Any:
    """A list as a NumPy array without a detour over Python's numbers, anything else as Python says it."""
    value = column[row]
    if isinstance(value, pa.ListScalar) and value.is_valid:
        array: np.ndarray = value.values.to_numpy(zero_copy_only=False)
        return array
    return value.as_py()
