"""Poses files: whole or absent, named by the hash of what they hold, so that writing one again changes nothing."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.io import storage
from pipelines.io.shards import digest
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_writer import GROUP_BYTES
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, VERSION_KEY, __version__
from schemas.formats.poses import FORMAT, POSES


class PosesFile:
    """A poses file in the making; a row group of rows and the compressed file are held in memory.

    Args:
        kind: `FINISHED` or `FAILED`.
        layout: Of the positions.
        settings: What the poses depend on, and where they come from; kept in the file's metadata.
    """

    def __init__(self, kind: str, layout: str, settings: Mapping[str, Any]) -> None:
        self._kind, self._settings = kind, json.dumps(dict(settings), sort_keys=True)
        metadata = {
            FORMAT_KEY: FORMAT.encode(),
            VERSION_KEY: __version__.encode(),
            LAYOUT_KEY: layout.encode(),
            SETTINGS_KEY: self._settings.encode(),
        }
        self._schema = POSES.with_metadata(metadata)
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._row_bytes = 0
        self._track_ids: list[str] = []

    def add(self, row: dict[str, Any]) -> None:
        """Add a row of the poses format."""
        self._rows.append(row)
        self._row_bytes += sum(getattr(value, "nbytes", 0) for value in row.values())
        self._track_ids.append(row["track_id"])
        if self._row_bytes >= GROUP_BYTES:
            self._end_group()

    def write(self, folder: str) -> None:
        """Write it, unless nothing was added.

        Raises:
            RunFailed: It cannot be written.
        """
        self._end_group()
        self._writer.close()
        if self._track_ids:
            name = f"{self._kind}{digest([FORMAT, self._settings, sorted(self._track_ids)])}.parquet"
            storage.write_bytes(storage.join(folder, name), self._sink.getvalue())

    def _end_group(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._row_bytes = [], 0


def failed_row(track: TrackInfo, description: Mapping[str, Any], shared: Mapping[str, Any], why: str) -> dict[str, Any]:
    """The row of a track that cannot be lifted.

    Args:
        track: Which one.
        description: What its file says of it; None where that cannot be read.
        shared: What is the same for all tracks of a file.
        why: Told to who asks for it.
    """
    unknown = {"video": "", "person": 0, "width": track.width, "height": 0, "start_frame": 0, "fps": math.nan}
    lists = ("timestamps_s", "positions", "interpolated", "keypoint_score", "bone_length_deviation")
    said = {name: value for name, value in description.items() if value is not None}
    fixed = {"track_id": track.track_id, "frames": 0, "reprojection": "none", "error": why}
    return unknown | {"intrinsics_provenance": "none"} | said | dict(shared) | fixed | {name: [] for name in lists}
