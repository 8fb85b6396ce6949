"""Importing labeled poses from start to end: compare with the output, read, write tracks, report."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

from pipelines import registry
from pipelines.datasets.pose_source import PoseSource
from pipelines.io import json_documents, storage
from pipelines.io.manifest import require_same_settings
from pipelines.mlflow_runs import runs
from pipelines.tracks.keypoint_reader import digest
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.keypoint_writer import write_tracks
from schemas import SETTINGS_KEY
from schemas.configs.import_poses import ImportPosesConfig
from schemas.errors import UserError
from schemas.job_config import JobConfig

FORMAT = "raylift.import/1"
REPORT = "report.json"


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


def import_poses(config: ImportPosesConfig, on_track: Callable[[int, int], None]) -> dict[str, Any] | None:
    """Import what the source has; the report, also written to `report.json`, or None if all is there already.

    Args:
        config: The job.
        on_track: Called with the tracks and frames so far.

    Raises:
        UserError: The source's files are not what they should be, or the output holds something else.
        RunFailed: The output cannot be written.
    """
    plugin = registry.load(registry.POSE_SOURCES, config.source.name)
    options = plugin.Config(**config.source.options)
    source: PoseSource = plugin(options)
    settings = _settings(config.source.name, options, source)
    if _is_done(config.output, settings):
        return None
    # Before anything is written: files that cannot be read end the job at their first track.
    tracks = source.tracks()
    tracks = chain([_first(config, tracks, source)], tracks)
    with storage.sole_writer(config.output), runs.record("import_poses", config) as record:
        report = _execute(config, source, tracks, settings, on_track)
        record.log_metrics({name: v for name, v in report.items() if isinstance(v, int | float)})
        record.log_tags({"raylift.digest": report["digest"]})
        record.log_json(report, REPORT)
    return report


def _execute(
    config: ImportPosesConfig,
    source: PoseSource,
    tracks: Iterator[KeypointTrack],
    settings: Mapping[str, Any],
    on_track: Callable[[int, int], None],
) -> dict[str, Any]:
    started, tally = time.monotonic(), Tally()

    def count(track: KeypointTrack) -> None:
        tally.add(track)
        on_track(tally.tracks, tally.frames)

    files = write_tracks(storage.join(config.output, "tracks"), tracks, settings, count)
    report = {
        "format": FORMAT,
        "output": config.output,
        "settings": dict(settings),
        "layout": ", ".join(sorted(tally.layouts)),
        "tracks": tally.tracks,
        "labeled_tracks": tally.labeled_tracks,
        "frames": tally.frames,
        "labeled_frames": tally.labeled_frames,
        "subjects": dict(tally.subjects),
        "notes": source.notes,
        "files": [file.rsplit("/", 1)[1] for file in files],
        "seconds": time.monotonic() - started,
        "digest": digest(files),
    }
    json_documents.write(storage.join(config.output, REPORT), report)
    return report


def _settings(name: str, options: JobConfig, source: PoseSource) -> dict[str, Any]:
    """What the tracks depend on; where the files lie is none of it, what they hold is."""
    contents = {option: _contents(option, uris) for option, uris in source.inputs().items()}
    values = options.model_dump(mode="json") | contents
    return {"source": name} | {f"source.{option}": value for option, value in values.items()}


def _contents(option: str, uris: Sequence[str]) -> str:
    """A hash of the bytes of files."""
    found = hashlib.sha256()
    for uri in uris:
        fs, path = storage.filesystem(uri)
        try:
            with fs.open(path, "rb") as file:
                while block := cast(bytes, file.read(1 << 24)):
                    found.update(block)
        except OSError as error:
            raise UserError(f"source.{option}={uri}: cannot be read: {error.strerror or error}") from error
    return f"sha256:{found.hexdigest()[:32]}"


def _is_done(output: str, settings: Mapping[str, Any]) -> bool:
    """Whether the output holds this import whole.

    Raises:
        UserError: It holds tracks that another import or job wrote.
    """
    files = storage.list_folder(storage.join(output, "tracks"), ".parquet")
    for file in files:
        held = json.loads((storage.read_schema(file).metadata or {}).get(SETTINGS_KEY, b"{}"))
        if "source" not in held:
            raise UserError(f"output={output}: holds tracks that another job wrote; give a new output")
        require_same_settings(output, held, settings)
    report = storage.join(output, REPORT)
    if not files or report not in storage.list_folder(output, REPORT):
        return False
    wrote = json_documents.read(report).get("files", [])
    return {file.rsplit("/", 1)[1] for file in files} >= set(wrote)


def _first(config: ImportPosesConfig, tracks: Iterator[KeypointTrack], source: PoseSource) -> KeypointTrack:
    for track in tracks:
        return track
    reasons = "".join(f"; {note}" for note in source.notes[:4])
    raise UserError(f"source={config.source.name}: its files give no tracks{reasons}")
