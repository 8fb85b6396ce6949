"""Tracks files, read without ever holding a corpus: what tracks there are, and chosen ones of them, one by one."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64

from pipelines.io import storage
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.selection import Choice, choose
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.errors import UserError
from schemas.formats.tracks import FORMAT, TRACKS

# Rows decoded at a time: a minute of one person is 0.7 MB, so that even hour-long tracks stay well below a gigabyte.
_ROWS = 16
_LABELS = ("positions", "positions_layout")
_SURVEYED = (
    *("track_id", "frames", "subject", "action", "camera", "width", "fps"),
    *("layout", "positions_layout", "intrinsics_provenance"),
)


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """What is known of a track without reading its frames.

    Attributes:
        file: URI of its tracks file.
        row: Its row there.
        track_id: Identifies the track among all tracks.
        frames: Its length as recorded.
        subject: Who it is, if known.
        action: What they do, if known.
        camera: Which camera, if known.
        width: Width of the upright image, px.
        fps: Frames per second as recorded; None or NaN if unknown.
        layout: Joint layout of the keypoints.
        positions_layout: Joint layout of the positions; None if unlabeled.
        intrinsics_provenance: Where the intrinsics come from; "none" if there are none.
    """

    file: str
    row: int
    track_id: str
    frames: int
    subject: str | None
    action: str | None
    camera: str | None
    width: int
    fps: float | None
    layout: str
    positions_layout: str | None
    intrinsics_provenance: str


def tracks_files(uri: str | Sequence[str]) -> list[str]:
    """The tracks files of a file, a folder, or several of them, each checked to be of this version's format.

    Local ones by absolute path, so that any process of this machine finds them.

    Raises:
        UserError: Nothing there, no tracks files, or files of another format.
    """
    files = [storage.absolute(file) for one in ([uri] if isinstance(uri, str) else uri) for file in _files(one)]
    with ThreadPoolExecutor(16) as pool:  # waiting for storage, not computing
        list(pool.map(_check_format, files))
    return files


def digest(files: Iterable[str]) -> str:
    """A short hash of what a set of tracks files holds: their names, which are content hashes, and sizes."""
    held = sorted((file.rsplit("/", 1)[-1], _size(file)) for file in files)
    return hashlib.sha256(repr(held).encode()).hexdigest()[:32]


def survey(uri: str | Sequence[str], choice: Choice | None = None) -> list[TrackInfo]:
    """The tracks of a file, a folder, or several of them, without reading their frames.

    Args:
        uri: Where the tracks are.
        choice: Which of them; all if not given.

    Raises:
        UserError: As `tracks_files`; nothing is chosen; or joint layouts are mixed.
    """
    files = tracks_files(uri)
    with ThreadPoolExecutor(16) as pool:
        tracks = [track for found in pool.map(_survey_file, files) for track in found]
    where = uri if isinstance(uri, str) else ", ".join(uri)
    if not tracks:
        raise UserError(f"{where}: the tracks files hold no track; give others")
    tracks = choose(where, tracks, choice or Choice())
    for name in ("layout", "positions_layout"):
        found = sorted({value for track in tracks if (value := getattr(track, name)) is not None})
        if len(found) > 1:
            raise UserError(f"{where}: tracks must share one {name}, found {', '.join(found)}; give them separately")
    return tracks


def read_tracks(uri: str | Sequence[str], choice: Choice | None = None, labels: bool = True) -> Iterator[KeypointTrack]:
    """The tracks of a file, a folder, or several of them, one after another.

    Args:
        uri: Where the tracks are.
        choice: Which of them; all if not given.
        labels: Whether to read the positions of labeled tracks.

    Raises:
        UserError: As `survey`.
    """
    return read_rows(survey(uri, choice), labels)


def read_rows(tracks: Iterable[TrackInfo], labels: bool = True) -> Iterator[KeypointTrack]:
    """Chosen tracks, file by file, each file's in the order of its rows; only the row groups that hold them are read.

    Args:
        tracks: From `survey`, in any order; files are read in the order of their first track.
        labels: Whether to read the positions of labeled tracks.
    """
    columns = [name for name in TRACKS.names if labels or name not in _LABELS]
    for row in _rows(tracks, columns):
        yield KeypointTrack.from_row(dict.fromkeys(_LABELS) | row)


def read_timestamps(tracks: Sequence[TrackInfo]) -> Iterator[tuple[TrackInfo, Float64[np.ndarray, " frames"]]]:
    """The timestamps of chosen tracks, s, in the order of `read_rows`; a few per cent of the bytes of their frames."""
    ordered = [track for found in _by_file(tracks).values() for track in found]
    for track, row in zip(ordered, _rows(tracks, ["timestamps_s"]), strict=True):
        yield track, np.asarray(row["timestamps_s"], np.float64)


def _files(uri: str) -> list[str]:
    fs, path = storage.filesystem(uri)
    if not fs.exists(path):
        raise UserError(f"{uri}: no such file or folder; give the tracks/ folder of an output of jobs.label")
    if not fs.isdir(path):
        return [uri]
    files = storage.list_folder(uri, ".parquet")
    if not files:
        inner = storage.join(uri, "tracks")
        fix = f"give {inner}" if storage.list_folder(inner, ".parquet") else "write some with python -m jobs.label"
        raise UserError(f"{uri}: the folder holds no tracks files (*.parquet); {fix}")
    return files


def _check_format(file: str) -> None:
    try:
        metadata = storage.read_schema(file).metadata or {}
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: cannot be read as a tracks file: {reason}; remove it and write it again") from error
    found, writer = (metadata.get(key, b"unknown").decode() for key in (FORMAT_KEY, VERSION_KEY))
    if found == FORMAT:
        return
    kind, _, version = found.partition("/")
    if kind != FORMAT.partition("/")[0]:
        fix = "tracks are written by python -m jobs.label and python -m jobs.import_poses"
    elif version.isdecimal() and int(version) > int(FORMAT.partition("/")[2]):
        fix = f"raylift {writer} wrote it: update this one (git pull)"
    else:
        fix = f"raylift {writer} wrote it: write it again with python -m jobs.label or python -m jobs.import_poses"
    raise UserError(f"{file}: has format {found!r}, this version reads {FORMAT!r}; {fix}")


def _size(file: str) -> int:
    fs, path = storage.filesystem(file)
    return cast(int, fs.size(path))


def _survey_file(file: str) -> list[TrackInfo]:
    columns = storage.read_table(file, list(_SURVEYED)).to_pydict()
    values = zip(*(columns[name] for name in _SURVEYED), strict=True)
    return [TrackInfo(file, row, **dict(zip(_SURVEYED, track, strict=True))) for row, track in enumerate(values)]


def _rows(tracks: Iterable[TrackInfo], columns: list[str]) -> Iterator[dict[str, Any]]:
    for uri, found in _by_file(tracks).items():
        fs, path = storage.filesystem(uri)
        with fs.open(path, "rb") as file:
            yield from _file_rows(pq.ParquetFile(file), [track.row for track in found], columns)


def _by_file(tracks: Iterable[TrackInfo]) -> dict[str, list[TrackInfo]]:
    by_file: dict[str, list[TrackInfo]] = {}
    for track in tracks:
        by_file.setdefault(track.file, []).append(track)
    return {file: sorted(found, key=lambda track: track.row) for file, found in by_file.items()}


def _file_rows(file: pq.ParquetFile, rows: list[int], columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows, ascending; a row group is decoded only as far as its last wanted row."""
    first = 0
    for group in range(file.num_row_groups):
        stop = first + file.metadata.row_group(group).num_rows
        wanted = _within(rows, first, stop)
        # One group at a time: Arrow keeps the bytes of all the groups that one iteration covers.
        batches = file.iter_batches(_ROWS, row_groups=[group], columns=columns) if wanted else iter(())
        for batch in batches:
            for row in _within(wanted, first, first + len(batch)):
                yield {name: _value(batch.column(name), row - first) for name in columns}
            first += len(batch)
            if first > wanted[-1]:
                break
        first = stop


def _within(rows: list[int], first: int, stop: int) -> list[int]:
    return rows[bisect_left(rows, first) : bisect_left(rows, stop)]


def _value(column: pa.Array, row: int) -> Any:
    """A list as a NumPy array without a detour over Python's numbers, anything else as Python says it."""
    value = column[row]
    if isinstance(value, pa.ListScalar) and value.is_valid:
        return value.values.to_numpy(zero_copy_only=False)
    return value.as_py()
