"""Shards too large to hold as Python rows: they are compressed row group by row group while the rows come."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.io import storage
from pipelines.io.shards import digest, shard_metadata
from schemas import FORMAT_KEY, SETTINGS_KEY

# Uncompressed bytes of a row group, which a reader decodes at once.
GROUP_BYTES = 8_000_000


class ShardBuilder:
    """Collects the rows of one shard; holds one uncompressed row group and the compressed file in memory.

    Args:
        schema: The columns, `track_id` among them.
        format: Format of the shard, with its version.
        layout: Joint layout of its rows.
        settings: What the rows depend on; kept in the metadata.

    Attributes:
        track_ids: Ids of the rows, in their order.
        bytes: Uncompressed bytes of all arrays so far.
    """

    def __init__(self, schema: pa.Schema, format: str, layout: str, settings: Mapping[str, Any]) -> None:
        self._schema = schema.with_metadata(shard_metadata(format, settings, layout))
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._group: list[dict[str, Any]] = []
        self._group_bytes = 0
        self.track_ids: list[str] = []
        self.bytes = 0

    def add(self, row: dict[str, Any]) -> None:
        """Add a row of the schema."""
        size = sum(getattr(value, "nbytes", 0) for value in row.values())
        self._group.append(row)
        self._group_bytes += size
        self.bytes += size
        self.track_ids.append(row["track_id"])
        if self._group_bytes >= GROUP_BYTES:
            self._end_group()

    def write(self, folder: str, part: str, name_ids: list[str]) -> str:
        """Write the shard under a name that is a hash of its format, settings and ids; returns its address.

        Args:
            folder: Where it goes.
            part: First letters of the name, `FINISHED` or `FAILED`.
            name_ids: The track ids, in the order in which the name depends on them.

        Raises:
            RunFailed: The shard cannot be written.
        """
        self._end_group()
        self._writer.close()
        metadata = self._schema.metadata
        content = [metadata[FORMAT_KEY].decode(), metadata[SETTINGS_KEY].decode(), name_ids]
        uri = storage.join(folder, f"{part}{digest(content)}.parquet")
        storage.write_bytes(uri, self._sink.getvalue())
        return uri

    def _end_group(self) -> None:
        if self._group:
            self._writer.write_table(pa.Table.from_pylist(self._group, schema=self._schema))
        self._group, self._group_bytes = [], 0
