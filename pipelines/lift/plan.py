"""What there is to lift, cut into units of work: groups of tracks of one file."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from pipelines.io import storage
from pipelines.lift.ledger import StoredTrack
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from schemas.errors import UserError

# Frames of a unit: what a killed process loses, a poses file of some 4 MB, seconds of work. A longer track is a unit
# of its own.
UNIT_FRAMES = 16_384
# A short track costs what is read around it too, about this many frames.
TRACK_FRAMES = 32


@dataclass(frozen=True)
class Unit:
    """Tracks of one file that are lifted one after another, and written together."""

    file: str
    tracks: tuple[TrackInfo, ...]

    @property
    def frames(self) -> int:
        """Of all its tracks."""
        return sum(track.frames for track in self.tracks)

    def to_json(self) -> str:
        """As it travels through Ray."""
        return json.dumps([asdict(track) for track in self.tracks])

    @classmethod
    def from_json(cls, text: str) -> "Unit":
        """What `to_json` said."""
        tracks = tuple(TrackInfo(**values) for values in json.loads(text))
        return cls(tracks[0].file, tracks)


def find_tracks(uri: str | Sequence[str]) -> list[TrackInfo]:
    """All tracks of a file, a folder, or several of them, without reading their frames; none is no mistake here.

    Raises:
        UserError: Nothing there, files of another format, or layouts are mixed; or two files of one name, which is
            what tells them apart in an output; or two tracks of one id in a file.
    """
    given = [uri] if isinstance(uri, str) else list(uri)
    filled = [one for one in given if not _is_empty_folder(one)]
    files = keypoint_reader.tracks_files(filled) if filled else []
    _check_unique("tracks files", ", ".join(given), [name_of(file) for file in files])
    if not any(len(storage.read_table(file, ["track_id"])) for file in files):
        return []
    tracks = keypoint_reader.survey(files)
    for file, found in sorted(keypoint_reader.by_file(tracks).items()):
        _check_unique("tracks", file, [track.track_id for track in found])
    return tracks


def require_one_file_each(tracks: Sequence[TrackInfo], held: Iterable[StoredTrack]) -> None:
    """Check that no track is in two files, as two detectors over the same videos would have it.

    Args:
        tracks: To be lifted.
        held: Lifted before, whatever file they come from.

    Raises:
        UserError: One is: what is made of the one would take the other's place.
    """
    source_of = {track.track_id: track.source for track in held}
    for track in tracks:
        here = name_of(track.file)
        if (there := source_of.setdefault(track.track_id, here)) != here:
            raise UserError(
                f"tracks={track.file}: track {track.track_id} is in {there} too, as if two detectors had labeled one "
                "video; lift them into different outputs"
            )


def folders_given_whole(uri: str | Sequence[str]) -> set[str]:
    """Those of the addresses that are folders, each in its one spelling."""
    given = [uri] if isinstance(uri, str) else uri
    return {storage.absolute(one) for one in given if _is_folder(one)}


def plan_units(tracks: Sequence[TrackInfo], done: Mapping[str, set[str]]) -> list[Unit]:
    """The tracks that are not done, in units, those with most frames first.

    Which tracks belong together depends on their file alone: a unit that is done again replaces its own file.

    Args:
        tracks: All there are.
        done: Ids of those that are lifted, by the name of their file.
    """
    units = []
    for file, found in sorted(keypoint_reader.by_file(tracks).items()):
        finished = done.get(name_of(file), set())
        for group in _groups(found):
            if todo := tuple(track for track in group if track.track_id not in finished):
                units.append(Unit(file, todo))
    return sorted(units, key=lambda unit: -unit.frames)


def name_of(file: str) -> str:
    """The name of a tracks file, by which an output knows it."""
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


def _check_unique(what: str, where: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise UserError(f"tracks={where}: two {what} are called {twice}; keep one, or give them separately")


def _is_folder(uri: str) -> bool:
    fs, path = storage.filesystem(uri)
    return fs.isdir(path)


def _is_empty_folder(uri: str) -> bool:
    return _is_folder(uri) and not storage.list_folder(uri)
