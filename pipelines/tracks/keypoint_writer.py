"""Tracks files of bounded size, written as the tracks come; their names follow from what is in them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.io import storage
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, VERSION_KEY, __version__
from schemas.formats.tracks import FORMAT, TRACKS

# Uncompressed. A file is what a reader opens at once over a network, a row group what it decodes at once.
FILE_BYTES, GROUP_BYTES = 64_000_000, 8_000_000


def write_tracks(
    folder: str,
    tracks: Iterable[KeypointTrack],
    settings: Mapping[str, Any],
    on_track: Callable[[KeypointTrack], None] = lambda track: None,
) -> list[str]:
    """Write tracks of one joint layout; the same tracks and settings give the same files.

    At most a row group of tracks and one compressed file are held in memory.

    Args:
        folder: Where the files go; files that it holds already and that are not written again are removed at the end.
        tracks: Read once.
        settings: What the tracks depend on; kept in each file's metadata.
        on_track: Called with every track.

    Returns:
        URIs of the files, in the order of the tracks.

    Raises:
        RunFailed: The output cannot be written.
    """
    files: list[str] = []
    file = None
    for track in tracks:
        file = file or _File(track.layout, settings)
        file.add(track)
        on_track(track)
        if file.bytes >= FILE_BYTES:
            files.append(file.write(folder))
            file = None
    if file:
        files.append(file.write(folder))
    storage.remove_leftovers(folder)
    for outdated in set(storage.list_folder(folder, ".parquet")) - set(files):
        storage.remove(outdated)
    return files


class _File:
    """A tracks file in the making."""

    def __init__(self, layout: str, settings: Mapping[str, Any]) -> None:
        self._settings = json.dumps(dict(settings), sort_keys=True)
        metadata = {
            FORMAT_KEY: FORMAT.encode(),
            VERSION_KEY: __version__.encode(),
            LAYOUT_KEY: layout.encode(),
            SETTINGS_KEY: self._settings.encode(),
        }
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, TRACKS.with_metadata(metadata), compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._row_bytes = 0
        self._track_ids: list[str] = []
        self.bytes = 0

    def add(self, track: KeypointTrack) -> None:
        row = track.to_row()
        size = sum(getattr(value, "nbytes", 0) for value in row.values())
        self._rows.append(row)
        self._row_bytes += size
        self._track_ids.append(track.track_id)
        self.bytes += size
        if self._row_bytes >= GROUP_BYTES:
            self._end_group()

    def write(self, folder: str) -> str:
        if self._rows:
            self._end_group()
        self._writer.close()
        content = json.dumps([FORMAT, self._settings, self._track_ids])
        uri = storage.join(folder, f"part-{hashlib.sha256(content.encode()).hexdigest()[:32]}.parquet")
        storage.write_bytes(uri, self._sink.getvalue())
        return uri

    def _end_group(self) -> None:
        table = pa.Table.from_pylist(self._rows, schema=TRACKS)
        self._writer.write_table(table.replace_schema_metadata(self._writer.schema.metadata))
        self._rows, self._row_bytes = [], 0
