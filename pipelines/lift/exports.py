"""Exports lifted tracks to other formats: one file for each track, one folder for each format."""

import re
from collections.abc import Callable, Iterable, Sequence

from pipelines.export.angles_csv import angles_csv
from pipelines.export.bvh import bvh_text
from pipelines.export.npz import npz_bytes
from pipelines.io import storage
from pipelines.io.file_names import file_name
from pipelines.io.shards import digest
from pipelines.lift.ledger import StoredTrack
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.configs.lift import ExportFormat

_WRITERS: dict[ExportFormat, Callable[[LiftedTrack], bytes]] = {
    "npz": npz_bytes,
    "bvh": lambda lifted: bvh_text(lifted).encode(),
    "angles": lambda lifted: angles_csv(lifted).encode(),
}
_SUFFIXES: dict[ExportFormat, str] = {"npz": ".npz", "bvh": ".bvh", "angles": ".csv"}
# Letters of the track's id, a hash, that a file name has: they tell videos of the same name apart.
_ID_LETTERS = 8


def export_name(video: str, person: int, track_id: str) -> str:
    """The name of a track's files, without suffix."""
    return f"{stem(video)}-{person}-{_short(track_id)}"


def stem(video: str) -> str:
    """A video's name without folder and suffix, as a valid file name."""
    name = video.rstrip("/").rpartition("/")[2]
    return file_name(name.rpartition(".")[0] or name)


def export_uri(output: str, form: ExportFormat, name: str) -> str:
    """The address of a track's file in a format."""
    return storage.join(output, form, f"{name}{_SUFFIXES[form]}")


def export(lifted: LiftedTrack, output: str, forms: Sequence[ExportFormat]) -> None:
    """Write a track in some formats.

    Raises:
        RunFailed: A file cannot be written.
    """
    name = export_name(lifted.video, lifted.person, lifted.track_id)
    for form in forms:
        storage.write_bytes(export_uri(output, form, name), _WRITERS[form](lifted))


def missing_exports(tracks: Iterable[StoredTrack], output: str, forms: Sequence[ExportFormat]) -> dict[str, list[int]]:
    """The lifted tracks that lack a file in one of the formats, as rows by poses file."""
    missing: dict[str, list[int]] = {}
    if forms:
        present = set.intersection(*(_names(output, form) for form in forms))
        for track in tracks:
            if export_name(track.video, track.person, track.track_id) not in present:
                missing.setdefault(track.file, []).append(track.row)
    return missing


def remove_exports(removed: Iterable[StoredTrack], remaining: Iterable[StoredTrack], output: str) -> None:
    """Remove the files of removed tracks, unless a remaining track has the same name."""
    names, others = ({export_name(t.video, t.person, t.track_id) for t in tracks} for tracks in (removed, remaining))
    for form in _WRITERS:
        for name in (names - others) & _names(output, form):
            storage.remove(export_uri(output, form, name))


def _names(output: str, form: ExportFormat) -> set[str]:
    suffix = _SUFFIXES[form]
    files = storage.list_folder(storage.join(output, form), suffix)
    return {file.rpartition("/")[2].removesuffix(suffix) for file in files}


def _short(track_id: str) -> str:
    # Ids of raylift are hashes, of which the first letters suffice; other ids may differ in their last letter only.
    own = re.fullmatch(r"[0-9a-f]{32}|[0-9a-z]{1,8}", track_id)
    return (track_id if own else digest(track_id))[:_ID_LETTERS]
