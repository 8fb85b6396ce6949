"""Exports lifted tracks to other formats: one file for each track, one folder for each format.

The people of a video are exported together, because they share the ground that they stand on.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.export.angles import angles_csv, angles_parquet
from pipelines.export.bvh import bvh_text
from pipelines.export.c3d_file import c3d_bytes
from pipelines.export.glb import glb_bytes
from pipelines.export.motion import video_start_s
from pipelines.export.npz import npz_bytes
from pipelines.export.openpose import openpose_zip
from pipelines.export.trc import trc_text
from pipelines.io import json_documents, storage
from pipelines.io.file_names import file_name
from pipelines.io.manifest import Settings, require_same_settings
from pipelines.io.shards import digest
from pipelines.lift.ledger import StoredTrack
from pipelines.tracks.levelling import Levelling, levelled, levelling_of
from pipelines.tracks.lifted_reader import read_lifted
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.video.numbered import NumberedPictures
from schemas.configs.export import ExportFormat, ExportOptions
from schemas.configs.lift import LiftConfig
from schemas.earlier_versions import values_if_absent
from schemas.job_config import flatten

_SUFFIXES: dict[ExportFormat, str] = {
    **{"npz": ".npz", "bvh": ".bvh", "angles": ".csv", "angles_parquet": ".parquet"},
    **{"trc": ".trc", "c3d": ".c3d", "glb": ".glb", "openpose": ".zip"},
}
FORMAT, FILE = "raylift.exports/1", "exports.json"
# The settings of exports of version 0.1.0, which has no such file.
_BEFORE = {"world": "camera", "export_start": "track"}
# File names have this many letters of the track's id, a hash, to distinguish videos of the same name.
_ID_LETTERS = 8

VideoTracks = Mapping[str, Sequence[int]]
"""The lifted tracks of one video: rows by poses file."""


@dataclass(frozen=True)
class ExportSettings:
    """The settings of exported files and pages; an output never mixes two of them.

    Attributes:
        formats: The formats to write.
        levelled: Whether people stand upright on level ground; otherwise files keep the camera's axes.
        from_video_start: Whether motions begin with the video; otherwise each begins with its track.
        options: Units and axes.
    """

    formats: tuple[ExportFormat, ...]
    levelled: bool
    from_video_start: bool
    options: ExportOptions

    @classmethod
    def of(cls, config: LiftConfig) -> "ExportSettings":
        """The settings of a lift job."""
        return cls(config.export, config.world == "levelled", config.export_start == "video", config.export_options)

    def require_same(self, output: str) -> None:
        """Check that an output holds no files with other settings.

        Raises:
            UserError: The output holds files with other settings.
        """
        uri = storage.join(output, FILE)
        if storage.exists(uri):
            require_same_settings(output, json_documents.read(uri, settings=dict)["settings"], self._described())
        elif any(_names(output, form) for form in _SUFFIXES):
            require_same_settings(output, _BEFORE, self._described())

    def write(self, output: str) -> None:
        """Note in an output what it holds.

        Raises:
            RunFailed: The note cannot be written.
        """
        json_documents.write(storage.join(output, FILE), {"format": FORMAT, "settings": self._described()})

    def _described(self) -> Settings:
        """The settings as the config has them."""
        values = {
            "world": "levelled" if self.levelled else "camera",
            "export_start": "video" if self.from_video_start else "track",
        }
        return Settings(
            values | flatten(self.options.model_dump(), "export_options."),
            values_if_absent(ExportOptions, "export_options."),
        )


def export_name(video: str, person: int, track_id: str) -> str:
    """The name of a track's files, without suffix."""
    return f"{stem(video)}-{person}-{_short(track_id)}"


def stem(video: str) -> str:
    """A video's name without folder and suffix, as a valid file name; numbered pictures are called by their folder."""
    if pictures := NumberedPictures.of_address(video):
        return file_name(pictures.name)
    name = video.rstrip("/").rpartition("/")[2]
    return file_name(name.rpartition(".")[0] or name)


def export_video(tracks: VideoTracks, output: str, settings: ExportSettings) -> Iterator[LiftedTrack]:
    """Write the tracks of a video in all formats; yields each once its files are written.

    Raises:
        RunFailed: A file cannot be written.
    """
    beginnings: list[tuple[int, float]] = []

    def noted() -> Iterator[LiftedTrack]:
        for lifted in _read(tracks):
            beginnings.append((lifted.start_frame, video_start_s(lifted)))
            yield lifted

    levelling = levelling_of(noted(), settings.levelled)
    # The person who appears first tells best when the video begins, because its rate may change later.
    start_s = min(beginnings)[1] if settings.from_video_start else None
    for lifted in _read(tracks):
        name = export_name(lifted.video, lifted.person, lifted.track_id)
        for form in settings.formats:
            storage.write_bytes(export_uri(output, form, name), _content(form, lifted, levelling, settings, start_s))
        yield lifted


def missing_exports(tracks: Iterable[StoredTrack], output: str, formats: Sequence[ExportFormat]) -> list[VideoTracks]:
    """The videos of which a track lacks a file in one of the formats."""
    if not formats:
        return []
    present = set.intersection(*(_names(output, form) for form in formats))
    videos: dict[str, dict[str, list[int]]] = {}
    incomplete: set[str] = set()
    for track in tracks:
        videos.setdefault(track.video, {}).setdefault(track.file, []).append(track.row)
        if export_name(track.video, track.person, track.track_id) not in present:
            incomplete.add(track.video)
    return [videos[video] for video in videos if video in incomplete]


def remove_exports(removed: Iterable[StoredTrack], remaining: Iterable[StoredTrack], output: str) -> None:
    """Remove the files of removed tracks, unless a remaining track has the same name."""
    names, others = ({export_name(t.video, t.person, t.track_id) for t in tracks} for tracks in (removed, remaining))
    for form in _SUFFIXES:
        for name in (names - others) & _names(output, form):
            storage.remove(export_uri(output, form, name))


def _read(tracks: VideoTracks) -> Iterator[LiftedTrack]:
    for file, rows in tracks.items():
        yield from read_lifted(file, rows)


def _content(
    form: ExportFormat, lifted: LiftedTrack, levelling: Levelling, settings: ExportSettings, start_s: float | None
) -> bytes:
    if form == "npz":
        return npz_bytes(lifted, levelling if settings.levelled else None)
    if form in ("angles", "angles_parquet"):
        return angles_csv(lifted) if form == "angles" else angles_parquet(lifted)
    if form == "openpose":
        return openpose_zip(lifted, stem(lifted.video))
    placed = levelled(lifted, levelling) if settings.levelled else lifted
    options = settings.options
    if form == "trc":
        return trc_text(placed, options.trc, start_s, options.fps).encode()
    if form == "c3d":
        return c3d_bytes(placed, options.c3d, start_s, options.fps)
    if form == "glb":
        return glb_bytes(placed, start_s, options.fps)
    return bvh_text(placed, start_s, options.fps).encode()


def export_uri(output: str, form: ExportFormat, name: str) -> str:
    """The address of a track's file in a format."""
    return storage.join(output, form, f"{name}{_SUFFIXES[form]}")


def _names(output: str, form: ExportFormat) -> set[str]:
    suffix = _SUFFIXES[form]
    files = storage.list_folder(storage.join(output, form), suffix)
    return {file.rpartition("/")[2].removesuffix(suffix) for file in files}


def _short(track_id: str) -> str:
    # Raylift's ids are hashes, whose first letters suffice; other ids may differ only in their last letter.
    own = re.fullmatch(r"[0-9a-f]{32}|[0-9a-z]{1,8}", track_id)
    return (track_id if own else digest(track_id))[:_ID_LETTERS]
