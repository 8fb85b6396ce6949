"""Finds the tracks to lift and groups them into units of work: tracks of one file."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from pipelines.io import storage
from pipelines.lift.ledger import StoredTrack
from pipelines.tracks import keypoint_reader
from pipelines.tracks.consistency import require_one_layout, require_own_ids
from pipelines.tracks.keypoint_reader import TrackInfo
from schemas.errors import UserError
from schemas.job_config import listed

# Frames of a unit, which is the work that a killed process loses: some seconds, and a poses file of about 4 MB. A
# longer track is a unit of its own.
UNIT_FRAMES = 16_384
# The cost of a track besides that of its frames, in frames.
TRACK_FRAMES = 32


@dataclass(frozen=True)
class Unit:
    """Tracks of one file that are lifted one after another, and written together."""

    file: str
    tracks: tuple[TrackInfo, ...]

    @property
    def frames(self) -> int:
        """Number of frames of all its tracks."""
        return sum(track.frames for track in self.tracks)

    def to_json(self) -> str:
        """The unit as text, which is how it is sent to workers."""
        return json.dumps([asdict(track) for track in self.tracks])

    @classmethod
    def from_json(cls, text: str) -> "Unit":
        """The unit of a text by `to_json`."""
        tracks = tuple(TrackInfo(**values) for values in json.loads(text))
        return cls(tracks[0].file, tracks)


def find_tracks(
    uri: str | Sequence[str],
    refused: dict[str, str] | None = None,
    require_layout: Callable[[str], None] = lambda layout: None,
) -> list[TrackInfo]:
    """All tracks of a file, a folder, or several of them, without reading their frames; there may be none.

    Args:
        uri: Where the tracks are.
        refused: Gets the files of folders that `list_tracks` refuses, that have the name of another one, or other
            joints than the lifter's, with the reasons; if it is not given, they are errors.
        require_layout: Raises a UserError for a layout that the lifter does not read.

    Raises:
        UserError: There is nothing, a file has another format, or layouts are mixed; or two files have one name, which
            identifies them in an output; or two tracks of a file have one id.
    """
    inputs = listed(uri)
    filled = [one for one in inputs if not _is_empty_folder(one)]
    tracks = keypoint_reader.list_tracks(filled, refused) if filled else []
    files = keypoint_reader.by_file(tracks)
    first: dict[str, str] = {}
    again = {file: other for file in files if (other := first.setdefault(name_of(file), file)) != file}
    errors = {
        file: UserError(f"tracks={file}: two tracks files are called {name_of(file)}, also {other}; keep one")
        for file, other in again.items()
    }
    for file, tracks_of_file in files.items():
        try:
            require_layout(tracks_of_file[0].layout)
        except UserError as error:
            errors[file] = error
    tracks = _without(tracks, errors, inputs, refused)
    require_one_layout(", ".join(inputs), tracks)
    for file, tracks_of_file in sorted(keypoint_reader.by_file(tracks).items()):
        require_own_ids(f"tracks={file}", tracks_of_file)
    return tracks


def in_one_file_each(
    tracks: Sequence[TrackInfo], stored: Iterable[StoredTrack], uri: str | Sequence[str], refused: dict[str, str]
) -> list[TrackInfo]:
    """The tracks without those of files that hold tracks of another file, as after two detectors labeled one video.

    The poses and exports of one would replace those of the other.

    Args:
        tracks: To be lifted.
        stored: Tracks that were lifted before, whatever file they come from.
        uri: Where the user said that the tracks are.
        refused: Gets the files of folders that hold tracks of another one, with the reasons.

    Raises:
        UserError: All files do, or one that the user named.
    """
    source_of = {track.track_id: track.source for track in stored}
    errors: dict[str, UserError] = {}
    for track in tracks:
        here = name_of(track.file)
        if (other := source_of.setdefault(track.track_id, here)) != here:
            errors[track.file] = UserError(
                f"tracks={track.file}: track {track.track_id} is in {other} too, as if two detectors had labeled one "
                "video; lift them into different outputs"
            )
    return _without(tracks, errors, listed(uri), refused)


def folders_given_whole(uri: str | Sequence[str]) -> set[str]:
    """The absolute addresses of those inputs that are folders."""
    return {storage.absolute(one) for one in listed(uri) if _is_folder(one)}


def plan_units(tracks: Sequence[TrackInfo], done: Mapping[str, set[str]]) -> list[Unit]:
    """Units of the tracks that are not lifted, those with most frames first.

    Which tracks form a unit depends on their file alone, so that a unit that is lifted again replaces its own file.

    Args:
        tracks: All tracks.
        done: Ids of the lifted tracks, by the name of their file.
    """
    units = []
    for file, tracks_of_file in sorted(keypoint_reader.by_file(tracks).items()):
        finished = done.get(name_of(file), set())
        for group in _groups(tracks_of_file):
            if missing := tuple(track for track in group if track.track_id not in finished):
                units.append(Unit(file, missing))
    return sorted(units, key=lambda unit: -unit.frames)


def name_of(file: str) -> str:
    """The name of a tracks file, which identifies it in an output."""
    return file.rsplit("/", 1)[1]


def _groups(tracks: Sequence[TrackInfo]) -> Iterator[list[TrackInfo]]:
    group: list[TrackInfo] = []
    cost = 0
    for track in tracks:
        if group and cost + track.frames + TRACK_FRAMES > UNIT_FRAMES:
            yield group
            group, cost = [], 0
        group.append(track)
        cost += track.frames + TRACK_FRAMES
    if group:
        yield group


def _without(
    tracks: Sequence[TrackInfo],
    errors: Mapping[str, UserError],
    inputs: Sequence[str],
    refused: dict[str, str] | None,
) -> list[TrackInfo]:
    """The tracks without those of some files, which are named in `refused`.

    Raises:
        UserError: The files are all that there are, the user named one of them, or there is no `refused`.
    """
    given, files = set(map(storage.absolute, inputs)), {track.file for track in tracks}
    for file, error in errors.items():
        if refused is None or file in given or len(errors) == len(files):
            raise error
        refused[file] = str(error).removeprefix(f"tracks={file}: ")
    return [track for track in tracks if track.file not in errors]


def _is_folder(uri: str) -> bool:
    fs, path = storage.filesystem(uri)
    return fs.isdir(path)


def _is_empty_folder(uri: str) -> bool:
    return _is_folder(uri) and not storage.list_folder(uri)
