"""Reads poses files without holding a whole corpus in memory: lifted tracks, one after another."""

from collections.abc import Collection, Iterator

from pipelines.io import storage
from pipelines.tracks import row_files
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.errors import UserError
from schemas.formats.poses import FORMAT, POSES

_POSES = row_files.RowFormat(
    noun="poses",
    format=FORMAT,
    schema=POSES,
    writers="poses are written by raylift lift",
    read_failure_fix="remove it and lift again",
    old_version_fix="write it again with raylift lift, into a new output",
)


def poses_files(uri: str) -> list[str]:
    """The poses files of a file or a folder, each checked to be of this version's format.

    Raises:
        UserError: There is no such file or folder, it holds no poses files, or they have another format.
    """
    fs, path = storage.filesystem(uri)
    if not fs.exists(path):
        raise UserError(f"{uri}: no such file or folder; give an output of raylift lift")
    files = storage.list_folder(uri, ".parquet") if fs.isdir(path) else [uri]
    if not files:
        raise UserError(f"{uri}: the folder holds no poses files (*.parquet); write some with raylift lift")
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
        for row in row_files.read_rows(file, POSES.names, None if rows is None else sorted(rows)):
            if row["error"] is None:
                yield row_files.made(LiftedTrack.from_row, row, file)


def check_format(uri: str) -> dict[bytes, bytes]:
    """The metadata of a poses file.

    Raises:
        UserError: The file cannot be read, or has another format.
    """
    return _POSES.check(uri)
