"""Shards of an output: Parquet files that record what their rows depend on, named by a hash of their rows' ids.

Writing a shard again replaces it by an equal one. Rows that failed are in shards of their own, so that a retry can
replace them.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.io import storage
from pipelines.io.columns import document_of, misfit, text_of
from pipelines.io.manifest import require_same_settings
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, VERSION_KEY, WEIGHTS_KEY, __version__
from schemas.errors import RunFailed, UserError

FINISHED, FAILED = "part-", "errors-"
# This many shards are read ahead: enough for slow storage, and few enough for memory.
_AHEAD = 512


@dataclass(frozen=True)
class ShardKind:
    """What a folder of shards holds.

    Attributes:
        format: Their format, with its version.
        schema: Their columns, `error` among them.
        key: The column that identifies a row.
    """

    format: str
    schema: pa.Schema
    key: str

    def write(self, folder: str, batch: pa.Table, settings: Mapping[str, Any]) -> None:
        """Write a batch: one shard for the rows that are finished, and one for those that failed.

        Args:
            folder: Where shards go.
            batch: Columns of the schema, with `weights_sha256` and `layout`, which are the same for all rows.
            settings: What the rows depend on.

        Raises:
            RunFailed: The shards cannot be written.
        """
        weights, layout = batch["weights_sha256"][0].as_py(), batch["layout"][0].as_py()
        metadata = shard_metadata(self.format, settings, layout) | {WEIGHTS_KEY: weights.encode()}
        rows = batch.select(self.schema.names).cast(self.schema).replace_schema_metadata(metadata)
        failed = rows["error"].is_valid()
        self.write_part(folder, FINISHED, rows.filter(rows["error"].is_null()))
        self.write_part(folder, FAILED, rows.filter(failed))

    def write_or_mark(
        self, folder: str, batch: pa.Table, settings: Mapping[str, Any], columns: Sequence[str]
    ) -> pa.Table:
        """Write a batch of a running job; returns some of its columns, in which a failure to write is marked.

        Rows with a `user_error` or a `run_failed` are about to end the job: the others are written all the same.

        Args:
            folder: Where shards go.
            batch: As `write` takes it, with the columns `user_error` and `run_failed`.
            settings: What the rows depend on.
            columns: What to return, `run_failed` among them.
        """
        result = batch.select(columns)
        finished = batch.filter(pc.field("user_error").is_null() & pc.field("run_failed").is_null())
        if len(finished):
            try:
                self.write(folder, finished, settings)
            except RunFailed as error:
                reasons = pa.array([str(error)] * len(batch), pa.string())
                result = result.set_column(result.schema.get_field_index("run_failed"), "run_failed", reasons)
        return result

    def write_part(self, folder: str, part: str, rows: pa.Table) -> None:
        """Write rows as one shard of a part, `FINISHED` or `FAILED`; without rows there is no shard."""
        if len(rows):
            name = f"{part}{digest(sorted(rows[self.key].to_pylist()))}.parquet"
            storage.write_table(storage.join(folder, name), rows)

    def read(
        self,
        folder: str,
        columns: Sequence[str],
        settings: Mapping[str, Any] | None = None,
        known: Collection[str] = (),
    ) -> Iterator[tuple[str, pa.Table]]:
        """Some columns of every shard.

        Args:
            folder: Where the shards are.
            columns: The columns to read. One that a shard lacks, because an earlier version wrote it, is null.
            settings: The settings that they must have been made with; None: any.
            known: Shards to leave out.

        Raises:
            UserError: A shard has another format, or was made with other settings.
        """
        files = [file for file in storage.list_folder(folder, ".parquet") if file not in known]
        with ThreadPoolExecutor(16) as pool:  # the threads wait for storage, they do not compute
            for start in range(0, len(files), _AHEAD):
                some = files[start : start + _AHEAD]
                for file, table in zip(some, pool.map(lambda f: _read(f, columns), some), strict=True):
                    if settings is not None:
                        self._check(file, table.schema.metadata or {}, settings)
                    if wrong := misfit(table.schema, self.schema):
                        raise UserError(f"output: {file}: {wrong}; remove it and run the same command")
                    for name in [name for name in columns if name not in table.column_names]:
                        table = table.append_column(name, pa.nulls(len(table), self.schema.field(name).type))
                    yield file, table.select(list(columns))

    def _check(self, file: str, metadata: Mapping[bytes, bytes], settings: Mapping[str, Any]) -> None:
        existing = text_of(metadata, FORMAT_KEY)
        if existing != self.format:
            raise UserError(
                f"output: {file} has format {existing!r}, this version writes {self.format!r}; give a new output"
            )
        require_same_settings(file.rpartition("/")[0], document_of(file, metadata, SETTINGS_KEY), settings)


def shard_metadata(format: str, settings: Mapping[str, Any], layout: str) -> dict[bytes, bytes]:
    """The file metadata that describe a shard.

    Args:
        format: Its format, with the version.
        settings: What its rows depend on.
        layout: Joint layout of its rows.
    """
    return {
        FORMAT_KEY: format.encode(),
        VERSION_KEY: __version__.encode(),
        LAYOUT_KEY: layout.encode(),
        SETTINGS_KEY: json.dumps(dict(settings), sort_keys=True).encode(),
    }


def is_failed(file: str) -> bool:
    """Whether a shard holds rows that failed."""
    return file.rsplit("/", 1)[1].startswith(FAILED)


def weights_and_layout(shard: pa.Table) -> tuple[str | None, str | None]:
    """The hash of the weights that made a shard's rows, and the layout of their joints."""
    metadata = shard.schema.metadata or {}
    weights, layout = text_of(metadata, WEIGHTS_KEY, ""), text_of(metadata, LAYOUT_KEY, "")
    return weights or None, layout or None


def _read(file: str, columns: Sequence[str]) -> pa.Table:
    # Shards are small, so threads for a single one would cost more than they save.
    return storage.read_table(file, list(columns), threads=False)


def digest(value: Any) -> str:
    """A short, stable hash of any value that JSON can express."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
