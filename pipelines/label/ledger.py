"""What an output folder already holds. The output is the only ledger: no side file can disagree with it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, WEIGHTS_KEY
from schemas.detections import FORMAT
from schemas.errors import UserError

# Finished rows and failed rows lie in files of different names, so that a retry can replace the failed ones.
FINISHED, FAILED = "part-", "errors-"

_COLUMNS = (
    *("clip_id", "video", "clip_index", "clip_count", "start_frame", "stop_frame"),
    *("fps", "decoder", "damage", "error", "detections"),
)


@dataclass
class VideoState:
    """The clips of one video that the output holds.

    Attributes:
        clip_count: How many clips the video was cut into.
        clips: clip_id of each finished clip by index.
        frames: Planned frames of the finished clips.
        detections: People over all frames of the finished clips.
        fps: Frames per second, mean over the video; None if no clip is finished.
        decoders: Which decoders read it.
        damage: What was damaged, by clip.
        errors: Why clips failed.
        files: The detections files that hold its rows.
    """

    clip_count: int = 0
    clips: dict[int, str] = field(default_factory=dict)
    frames: int = 0
    detections: int = 0
    fps: float | None = None
    decoders: set[str] = field(default_factory=set)
    damage: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for this video."""
        return self.clip_count > 0 and len(self.clips) == self.clip_count


@dataclass(frozen=True)
class Ledger:
    """The state of every video in an output folder."""

    videos: Mapping[str, VideoState]
    weights_sha256: str | None
    layout: str | None


def read_ledger(folder: str, settings: Mapping[str, Any]) -> Ledger:
    """Read what the detections in a folder hold, and check that they were made with the same settings.

    Raises:
        UserError: The folder holds detections of another format or made with other settings.
    """
    files = storage.list_folder(folder, ".parquet")
    videos: dict[str, VideoState] = {}
    metadata: dict[bytes, bytes] = {}
    with ThreadPoolExecutor(16) as pool:  # waiting for storage, not computing
        for file, table in zip(files, pool.map(lambda f: storage.read_table(f, list(_COLUMNS)), files), strict=True):
            metadata = table.schema.metadata or {}
            _check(file, metadata, settings)
            for row in table.to_pylist():
                _add(videos.setdefault(row["video"], VideoState()), row, file)
    weights, layout = metadata.get(WEIGHTS_KEY), metadata.get(LAYOUT_KEY)
    return Ledger(videos, weights.decode() if weights else None, layout.decode() if layout else None)


def retire_errors(folder: str, videos: Sequence[str]) -> None:
    """Remove the failed rows of videos that are about to be tried again; those of other videos stay."""
    for file in storage.list_folder(folder, ".parquet"):
        if not file.rsplit("/", 1)[1].startswith(FAILED):
            continue
        table = storage.read_table(file)
        kept = table.filter(~pc.field("video").isin(list(videos)))
        if len(kept) < len(table):
            if len(kept):
                storage.write_table(storage.join(folder, file_name(FAILED, kept)), kept)
            storage.remove(file)


def file_name(kind: str, table: pa.Table) -> str:
    """The name of a detections file: the hash of its clip ids, so that writing it again changes nothing."""
    return f"{kind}{digest(sorted(table['clip_id'].to_pylist()))}.parquet"


def digest(value: Any) -> str:
    """A short, stable hash of anything JSON can say."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _add(state: VideoState, row: dict[str, Any], file: str) -> None:
    state.clip_count = max(state.clip_count, row["clip_count"])
    state.files.add(file)
    if row["error"] is not None:
        state.errors.append(row["error"])
        return
    if row["clip_index"] in state.clips:
        return
    state.clips[row["clip_index"]] = row["clip_id"]
    state.frames += row["stop_frame"] - row["start_frame"]
    state.detections += row["detections"]
    state.fps = row["fps"]
    state.decoders |= {row["decoder"]} - {None}
    if row["damage"]:
        state.damage.append(row["damage"])


def _check(file: str, metadata: Mapping[bytes, bytes], settings: Mapping[str, Any]) -> None:
    found = metadata.get(FORMAT_KEY, b"unknown").decode()
    if found != FORMAT:
        raise UserError(f"output: {file} has format {found!r}, this version writes {FORMAT!r}; give a new output")
    held = json.loads(metadata[SETTINGS_KEY])
    for name in sorted(held.keys() | settings.keys()):
        if held.get(name) != settings.get(name):
            raise UserError(
                f"{name}={settings.get(name)}: the output holds detections made with {name}={held.get(name)}; "
                "give the same value, or a new output"
            )
