"""Reads tracks files without holding a whole corpus in memory.

`survey` lists the tracks without their frames, `read_rows` then reads chosen ones, one after another.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Float64

from pipelines.io import storage
from pipelines.io.addresses import host_of, require_nameable
from pipelines.io.columns import misfit
from pipelines.tracks import row_files
from pipelines.tracks.consistency import require_one_layout, unlike_others
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.selection import Choice, choose
from schemas.errors import UserError, value_of
from schemas.formats.curation import CURATED, CURATED_FORMAT
from schemas.formats.tracks import FORMAT, TRACKS
from schemas.job_config import listed
from schemas.mistakes import as_typed

_TRACKS = row_files.RowFormat(
    noun="tracks",
    format=FORMAT,
    schema=TRACKS,
    writers="tracks are written by raylift label and raylift import_poses",
    read_failure_fix="remove it and write it again",
    old_version_fix="write it again with raylift label or import_poses",
    stands_for=CURATED_FORMAT,
)
_CHOSEN = ("file", "row", "track_id", "kept")
_LABELS = ("positions", "positions_layout")
# Columns that files of earlier versions lack and that no reader needs.
_UNREAD = ("swapped", "shots", "still", "label_residuals_px", "label_views")
_SURVEYED = (
    *("track_id", "frames", "subject", "action", "camera", "width", "fps"),
    *("layout", "positions_layout", "intrinsics_provenance"),
)


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """Everything that the file says of a track, except its frames.

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


def tracks_files(uri: str | Sequence[str], field: str = "") -> list[str]:
    """The tracks files of a file, a folder, or several of them, each checked to be of this version's format.

    A choice among tracks, which the curate job writes, is such a file too; `survey` lists the tracks that it keeps.

    Local files are returned by absolute path, so that processes with another working directory find them.

    Args:
        uri: Where the tracks are.
        field: The config's field that names them, for messages.

    Raises:
        UserError: There is no such file or folder, it holds no tracks files, or they have another format.
    """
    with value_of(field), ThreadPoolExecutor(16) as pool:  # the threads wait for storage, they do not compute
        files = files_of(uri)
        list(pool.map(_TRACKS.check, files))
    return files


def files_of(uri: str | Sequence[str]) -> list[str]:
    """The Parquet files of a file, a folder, or several of them, by absolute path, unchecked.

    Raises:
        UserError: There is no such file or folder, or it holds no Parquet files.
    """
    return [storage.absolute(file) for one in listed(uri) for file in _files(one)]


def digest(files: Iterable[str]) -> str:
    """A short hash that identifies a set of tracks files: of their names, which are content hashes, and sizes."""
    names_and_sizes = sorted((file.rsplit("/", 1)[-1], _size(file)) for file in files)
    return hashlib.sha256(repr(names_and_sizes).encode()).hexdigest()[:32]


def survey(
    uri: str | Sequence[str],
    choice: Choice | None = None,
    refused: dict[str, str] | None = None,
    field: str = "",
) -> list[TrackInfo]:
    """The tracks of a file, a folder, or several of them, without reading their frames.

    Args:
        uri: Where the tracks are.
        choice: Which of them; all if not given.
        refused: Gets the files of folders that `list_tracks` refuses, with the reasons; without it, they are errors.
        field: The config's field that names them, for messages.

    Raises:
        UserError: As `tracks_files`; no track matches the choice; or the tracks have different joint layouts.
    """
    with value_of(field):
        tracks = list_tracks(uri, refused)
    given = listed(uri)
    shown = given[0] if len(given) == 1 else as_typed(given)
    where = f"{field}={shown}" if field else shown
    if not tracks:
        raise UserError(f"{where}: the tracks files hold no track; give others")
    tracks = choose(where, tracks, choice or Choice())
    require_one_layout(where, tracks)
    return tracks


def list_tracks(uri: str | Sequence[str], refused: dict[str, str] | None = None) -> list[TrackInfo]:
    """All tracks of a file, a folder, or several of them.

    Args:
        uri: Where the tracks are.
        refused: Gets the files of folders that hold no tracks, several with one id, or other joints than most files,
            with the reasons. If it is not given, files without tracks are errors, and the others are the caller's.

    Raises:
        UserError: As `tracks_files`, for files that the user named; without `refused` also for those in folders.
    """
    files = files_of(uri)
    given = {storage.absolute(one) for one in listed(uri)}
    with ThreadPoolExecutor(16) as pool:
        by_file = dict(zip(files, pool.map(_tracks_or_error, files), strict=True))
    errors = {file: error for file, error in by_file.items() if isinstance(error, UserError)}
    if refused is not None:
        errors |= unlike_others({file: of for file, of in by_file.items() if not isinstance(of, UserError)})
    for file, error in errors.items():
        if refused is None or file in given or len(errors) == len(files):
            raise error
        refused[file] = str(error).removeprefix(f"{file}: ")
    good = [of for file in files if file not in errors and not isinstance(of := by_file[file], UserError)]
    return [track for tracks in good for track in tracks]


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
    """Chosen tracks, file by file, in the order of each file's rows; only the row groups that hold them are read.

    Args:
        tracks: From `survey`, in any order; files are read in the order of their first track.
        labels: Whether to read the positions of labeled tracks.
    """
    columns = [name for name in TRACKS.names if name not in _UNREAD and (labels or name not in _LABELS)]
    for file, row in _rows(tracks, columns):
        yield row_files.made(KeypointTrack.from_row, dict.fromkeys(_LABELS) | row, file)


def read_timestamps(tracks: Sequence[TrackInfo]) -> Iterator[tuple[TrackInfo, Float64[np.ndarray, " frames"]]]:
    """The timestamps of chosen tracks, s, in the order of `read_rows`; they are a few per cent of the tracks' bytes."""
    ordered = [track for group in by_file(tracks).values() for track in group]
    for track, (_, row) in zip(ordered, _rows(tracks, ["timestamps_s"]), strict=True):
        yield track, np.asarray([] if row["timestamps_s"] is None else row["timestamps_s"], np.float64)


def by_file(tracks: Iterable[TrackInfo]) -> dict[str, list[TrackInfo]]:
    """Tracks grouped by their file: files in the order of their first track, tracks in the order of their rows."""
    groups: dict[str, list[TrackInfo]] = {}
    for track in tracks:
        groups.setdefault(track.file, []).append(track)
    return {file: sorted(group, key=lambda track: track.row) for file, group in groups.items()}


def _files(uri: str) -> list[str]:
    fs, path = storage.filesystem(uri)
    if not fs.exists(path):
        raise UserError(
            f"{uri}: no such file or folder; give the tracks/ folder of an output of raylift label or import_poses"
        )
    if not fs.isdir(path):
        return [uri]
    files = storage.list_folder(uri, ".parquet")
    if not files:
        inner = storage.join(uri, "tracks")
        fix = f"give {inner}" if storage.list_folder(inner, ".parquet") else "write some with raylift label"
        raise UserError(f"{uri}: the folder holds no tracks files (*.parquet); {fix}")
    return files


def _size(file: str) -> int:
    fs, path = storage.filesystem(file)
    return cast(int, fs.size(path))


def _tracks_or_error(file: str) -> list[TrackInfo] | UserError:
    try:
        _TRACKS.check(file)
        return _survey_file(file)
    except UserError as error:
        return error


def _survey_file(file: str) -> list[TrackInfo]:
    if "kept" in storage.read_schema(file).names:
        return _kept_tracks(file)
    with storage.open_table(file) as opened:
        table = opened.read(_SURVEYED)
        present = {name: table[name].cast(TRACKS.field(name).type).to_pylist() for name in table.column_names}
    columns = {name: [None] * len(table) for name in _SURVEYED} | present
    for name in _SURVEYED:
        if not TRACKS.field(name).nullable and None in columns[name]:
            raise UserError(f"{file}: says nothing in the column {name!r} of some tracks; remove it and write it again")
    values = zip(*(columns[name] for name in _SURVEYED), strict=True)
    return [TrackInfo(file, row, **dict(zip(_SURVEYED, track, strict=True))) for row, track in enumerate(values)]


def _kept_tracks(choice: str) -> list[TrackInfo]:
    """The tracks that a choice keeps, from their own files."""
    if wrong := misfit(storage.read_schema(choice), CURATED, _CHOSEN):
        raise UserError(f"{choice}: {wrong}; run raylift curate again")
    kept = [row for row in storage.read_table(choice, list(_CHOSEN)).to_pylist() if row["kept"]]
    if any(None in row.values() for row in kept):
        raise UserError(f"{choice}: does not say which tracks it keeps; run raylift curate again")
    for file in {row["file"] for row in kept}:
        _require_nameable(file, choice)
    there = {
        (file, track.row): track
        for file in dict.fromkeys(row["file"] for row in kept)
        if storage.exists(file)
        for track in _survey_file(file)
    }
    tracks = []
    for row in kept:
        track = there.get((row["file"], row["row"]))
        if track is None or track.track_id != row["track_id"]:
            raise UserError(
                f"{choice}: keeps track {row['track_id']} of {row['file']}, which is not there any more; run "
                "raylift curate again"
            )
        tracks.append(track)
    return tracks


def _require_nameable(file: str, choice: str) -> None:
    """Check the address of a tracks file that is named in a choice, which somebody else may have written.

    Raises:
        UserError: The choice is remote and names a local file, or a web server that the command line does not name.
    """
    require_nameable(file, choice)
    if file.startswith(("http://", "https://")) and host_of(file) != host_of(choice):
        raise UserError(f"{choice}: names {file}, on another web server; give tracks of a folder or a bucket to curate")


def _rows(tracks: Iterable[TrackInfo], columns: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows with the file of each."""
    for uri, tracks_of_file in by_file(tracks).items():
        for row in row_files.read_rows(uri, columns, [track.row for track in tracks_of_file]):
            yield uri, row
