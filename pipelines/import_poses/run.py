"""The import_poses and import_keypoints jobs from start to end; they differ in the table of their sources.

1. `prepare`: the source's files are found, addresses and settings resolved.
2. `survey`: the output is read; unless it holds this import completely, the import starts from the beginning.
3. `execute`: tracks are read and written, then the report.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from pipelines import registry
from pipelines.datasets.plausibility import Plausibility, whole_parts
from pipelines.datasets.pose_source import PoseSource
from pipelines.io import json_documents, storage
from pipelines.io.columns import document_of
from pipelines.io.manifest import Settings, require_same_settings
from pipelines.io.unknown_origin import blamed
from pipelines.tracks.keypoint_reader import digest
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.keypoint_writer import write_tracks
from schemas import SETTINGS_KEY
from schemas.configs.import_keypoints import ImportKeypointsConfig
from schemas.configs.import_poses import ImportPosesConfig
from schemas.errors import UserError
from schemas.job_config import JobConfig, options_of
from schemas.progress import Progress

ImportConfig = ImportPosesConfig | ImportKeypointsConfig
FORMAT = "raylift.import/1"
REPORT = "report.json"
# Tracks of at most this many bytes are kept from the check of all until they are written: to link crowds, and to place
# cameras around motions, takes longer than anything else. A track takes the second number beside its arrays.
_KEPT_BYTES, _OF_ANY_TRACK = 256_000_000, 4_000


@dataclass
class Tally:
    """Running sums over the tracks; frames by subject, labeled or not."""

    tracks: int = 0
    labeled_tracks: int = 0
    frames: int = 0
    labeled_frames: int = 0
    subjects: Counter[str] = field(default_factory=Counter)
    layouts: set[str] = field(default_factory=set)

    def add(self, track: KeypointTrack) -> None:
        """Count a track."""
        labeled = track.positions is not None
        self.tracks += 1
        self.labeled_tracks += labeled
        self.frames += len(track)
        self.labeled_frames += labeled * len(track)
        self.subjects[track.subject or "unknown"] += len(track)
        self.layouts |= {track.layout}


@dataclass(frozen=True)
class Job:
    """An import that is known to be possible.

    Attributes:
        config: Its config.
        output: The output, by its absolute address.
        source: The source of the poses.
        settings: What the tracks depend on; an output never mixes two of them.
        check: Whether poses that people cannot have are refused.
        files: Number of the source's files.
        digest: Identifies their content.
    """

    config: ImportConfig
    output: str
    source: PoseSource
    settings: Mapping[str, Any]
    check: bool
    files: int
    digest: str

    @property
    def tracks(self) -> str:
        """Folder of the tracks."""
        return storage.join(self.output, "tracks")


@dataclass(frozen=True)
class Work:
    """What the output of a job lacks; an import is done whole or not at all.

    Attributes:
        tracks: All tracks of the source, read once; None if the output is complete.
    """

    tracks: Iterator[KeypointTrack] | None

    @property
    def nothing_to_do(self) -> bool:
        """Whether the output is complete."""
        return self.tracks is None


def prepare(config: ImportConfig, table: Mapping[str, str] = registry.POSE_SOURCES) -> Job:
    """Find the source's files, and resolve addresses and settings.

    Args:
        config: The job's config.
        table: The plug-ins that its source is one of.

    Raises:
        UserError: No such source, its options are wrong, or its files cannot be read.
    """
    plugin = registry.load(table, config.source.name)
    with options_of("source"):
        options = plugin.Config(**config.source.options)
        source: PoseSource = plugin(options)
    inputs = source.inputs()
    contents = {option: _contents(option, uris) for option, uris in inputs.items()}
    settings = _settings(config.source.name, options, contents, table)
    # A source from another package may lack this option.
    check = getattr(options, "check", True)
    files, content = sum(map(len, inputs.values())), hashlib.sha256(repr(sorted(contents.items())).encode())
    return Job(config, storage.absolute(config.output), source, settings, check, files, content.hexdigest()[:32])


# Numbers near the largest are reported with the poses that they spoil; NumPy's warnings would stand beside that.
@np.errstate(over="ignore", invalid="ignore")
def survey(job: Job) -> Work:
    """Compare the import with what the output holds.

    If there is work, all tracks are read and checked: files that cannot be read, and poses that people cannot have, end
    the job before it writes anything.

    Raises:
        UserError: The output holds tracks that another import or job wrote, or the source's files are not what they
            should be.
    """
    files = storage.list_folder(job.tracks, ".parquet")
    for file in files:
        existing = document_of(file, {SETTINGS_KEY: b"{}", **(storage.read_schema(file).metadata or {})}, SETTINGS_KEY)
        if "source" not in existing:
            raise UserError(f"output={job.config.output}: holds tracks that another job wrote; give a new output")
        require_same_settings(job.config.output, existing, job.settings)
    return Work(None if _is_complete(job, files) else _tracks(job))


def execute(job: Job, work: Work, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Write the tracks; returns the report, which is also written to `report.json`.

    Args:
        job: The job.
        work: What its output lacks.
        on_progress: Called with every track.

    Raises:
        UserError: The source's files are not what they should be.
        RunFailed: The output cannot be written.
    """
    assert work.tracks is not None
    started, tally = time.monotonic(), Tally()

    def count(track: KeypointTrack) -> None:
        tally.add(track)
        on_progress(Progress("import", tally.tracks, None, "tracks", f"{tally.frames:,} frames"))

    files = write_tracks(job.tracks, work.tracks, job.settings, count)
    report = {
        "format": FORMAT,
        "output": job.config.output,
        "settings": job.settings,
        "layout": ", ".join(sorted(tally.layouts)),
        "tracks": tally.tracks,
        "labeled_tracks": tally.labeled_tracks,
        "frames": tally.frames,
        "labeled_frames": tally.labeled_frames,
        "subjects": dict(tally.subjects),
        "notes": job.source.notes,
        "files": [file.rsplit("/", 1)[1] for file in files],
        "seconds": time.monotonic() - started,
        "digest": digest(files),
    }
    json_documents.write(storage.join(job.output, REPORT), report)
    return report


def _is_complete(job: Job, files: Sequence[str]) -> bool:
    """Whether the output holds a report and all files that it names."""
    report = storage.join(job.output, REPORT)
    if not files or report not in storage.list_folder(job.output, REPORT):
        return False
    written = json_documents.read(report, files=list)["files"]
    return {file.rsplit("/", 1)[1] for file in files} >= set(written)


def _tracks(job: Job) -> Iterator[KeypointTrack]:
    """All tracks of the source, checked."""
    odd, kept = _check(job) if job.check else ([], None)
    tracks = chain.from_iterable(_whole_parts(job, track) for track in (_as_they_are(job) if kept is None else kept))
    for track in tracks:
        job.source.notes.extend(odd)
        return chain([track], tracks)
    reasons = "".join(f"; {note}" for note in job.source.notes[:4])
    raise UserError(f"source={job.config.source.name}: its files give no tracks{reasons}")


def _as_they_are(job: Job) -> Iterator[KeypointTrack]:
    """The tracks of the source. What a reader of this package stumbles over is a mistake in the files, and one line.

    Raises:
        UserError: The source's files are not what they should be.
    """
    if ":" in job.config.source.name:  # whoever writes a source of their own needs the traceback of its errors
        yield from job.source.tracks()
        return
    with blamed(f"source={job.config.source.name}", "its files are not of this format"):
        yield from job.source.tracks()


def _check(job: Job) -> tuple[list[str], list[KeypointTrack] | None]:
    """Warnings about single tracks of the source; all tracks are read to find them, and returned if they are small."""
    plausibility = Plausibility(getattr(job.source, "KEYPOINTS_ARE_SEEN", True))
    kept: list[KeypointTrack] | None = []
    left = _KEPT_BYTES
    for track in _as_they_are(job):
        for part in whole_parts(track):
            plausibility.add(part)
        if kept is not None:
            kept.append(track)
            left -= _OF_ANY_TRACK + sum(value.nbytes for value in vars(track).values() if isinstance(value, np.ndarray))
            kept = kept if left >= 0 else None
    if kept is None:
        # The tracks are read again when they are written, and their notes are taken then.
        job.source.notes.clear()
    return plausibility.verdict(), kept


def _whole_parts(job: Job, track: KeypointTrack) -> Iterator[KeypointTrack]:
    left = len(track)
    for part in whole_parts(track, job.check):
        left -= len(part)
        yield part
    if left:
        job.source.notes.append(
            f"{track.video}: {left} of {len(track)} frames are left out: joints are missing or jump"
        )


def _settings(name: str, options: JobConfig, contents: Mapping[str, str], table: Mapping[str, str]) -> Settings:
    """What the tracks depend on: not where the source's files lie, but what they hold."""
    values = {**options.model_dump(mode="json", exclude={"check"}), **contents}
    named = {"source": name} | {f"source.{option}": value for option, value in values.items()}
    return Settings(named, registry.options_if_absent(table, name, "source"))


def _contents(option: str, uris: Sequence[str]) -> str:
    """A hash of the bytes of files."""
    content = hashlib.sha256()
    for uri in uris:
        try:
            with storage.open_file(uri) as file:
                while block := file.read(1 << 24):
                    content.update(block)
        except OSError as error:
            raise UserError(f"source.{option}={uri}: cannot be read: {error.strerror or error}") from error
    return f"sha256:{content.hexdigest()[:32]}"
