"""What an output already holds, read from its shards, so that no separate record can disagree with them.

The ledger is kept in columns and queried for all videos at once, so that millions of clips fit in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from pipelines.io import storage
from pipelines.io.shards import FAILED, FINISHED, ShardKind, is_failed, weights_and_layout
from schemas.formats.detections import DETECTIONS, FORMAT

SHARDS = ShardKind(FORMAT, DETECTIONS, key="clip_id")

_COLUMNS = (
    *("video", "clip_index", "clip_count", "start_frame", "stop_frame"),
    *("fps", "decoder", "damage", "error", "detections", "note", "version"),
)
_ROWS = pa.schema([*(DETECTIONS.field(name) for name in _COLUMNS), pa.field("file", pa.int32())])
# The tables of this many shards are merged, because a table of a few rows is mostly overhead.
_TOGETHER = 512


@dataclass(frozen=True)
class Ledger:
    """The clips and videos in an output folder.

    Attributes:
        videos: A row a video: `video`; `clip_count`, how many clips it was cut into; `done`, the indices of its
            finished clips; `files`, places in `files` of the shards that hold any of its clips; over the finished
            clips `frames` (planned), `detections` (people in frames), and `fps` and `version` of the video (null if
            there are none).
        finished: A row a finished clip, each once, in the order of `videos` and of `clip_index`.
        failed: A row a clip that failed.
        files: Addresses of the shards that were read.
        weights_sha256: Hash of the detector's weights; None in an empty folder.
        layout: Joint layout of the detector; None in an empty folder.
    """

    videos: pa.Table
    finished: pa.Table
    failed: pa.Table
    files: tuple[str, ...]
    weights_sha256: str | None
    layout: str | None

    def places(self, uris: Sequence[str]) -> Int64[np.ndarray, " uris"]:
        """The row of each video in `videos`; -1 if the output holds nothing of it."""
        known = pc.SetLookupOptions(self.videos["video"].combine_chunks())
        rows = pc.call_function("index_in", [pa.array(uris, pa.string())], known)
        return rows.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)

    def shares(self, uris: Sequence[str]) -> np.ndarray:
        """The fraction of each video that is finished, 0 to 1."""
        done = self.videos["done"].combine_chunks().value_lengths().to_numpy()
        share = np.append(done / self.videos["clip_count"].to_numpy(), 0.0)
        return share[self.places(uris)]

    def done(self, uris: Sequence[str]) -> pa.ListArray:
        """The indices of each video's finished clips; null where the output holds nothing of it."""
        places = self.places(uris)
        return self.videos["done"].combine_chunks().take(pa.array(places, mask=places < 0))

    def only(self, uris: Sequence[str]) -> "Ledger":
        """The part of the ledger that is about some videos."""
        of_videos = pc.field("video").isin(pa.array(uris, pa.string()))
        rows = pa.concat_tables([self.finished, self.failed]).filter(of_videos)
        return _ledger(rows, self.files, self.weights_sha256, self.layout)


def read_ledger(folder: str, settings: Mapping[str, Any] | None, known: Ledger | None = None) -> Ledger:
    """Read what the detections in a folder hold, and check that they were made with the same settings.

    Args:
        folder: Where the detections are.
        settings: The settings that they must have been made with; None: any.
        known: What was read before. Its shards are not read again: a shard's name says which clips it holds.

    Raises:
        UserError: The folder holds detections of another format or made with other settings.
    """
    files, parts, small = list(known.files if known else ()), [_ROWS.empty_table()], []
    weights, layout = (known.weights_sha256, known.layout) if known else (None, None)
    if known:
        present = set(storage.list_folder(folder, ".parquet"))
        present_files = pa.array([place for place, file in enumerate(files) if file in present], pa.int32())
        parts += [t.filter(pc.field("file").isin(present_files)) for t in (known.finished, known.failed)]
    for file, table in SHARDS.read(folder, _COLUMNS, settings, set(files)):
        weights, layout = weights_and_layout(table)
        small.append(table.append_column("file", pa.array(np.full(len(table), len(files), np.int32))))
        files.append(file)
        if len(small) == _TOGETHER:
            parts.append(pa.concat_tables(small).combine_chunks())
            small.clear()
    return _ledger(pa.concat_tables([*parts, *small]), tuple(files), weights, layout)


def retire_errors(ledger: Ledger, folder: str, videos: Sequence[str]) -> None:
    """Remove the failed rows of videos that are about to be tried again; those of other videos stay."""
    again = pc.field("video").isin(pa.array(videos, pa.string()))
    for place in ledger.failed.filter(again)["file"].unique().to_pylist():
        file = ledger.files[place]
        assert is_failed(file)
        SHARDS.write_part(folder, FAILED, storage.read_table(file).filter(~again))
        storage.remove(file)


def retire_videos(ledger: Ledger, folder: str, videos: Sequence[str]) -> None:
    """Remove all rows of videos that were replaced or deleted; the ledger must then be read again."""
    retired = pc.field("video").isin(pa.array(videos, pa.string()))
    rows = pa.concat_tables([ledger.finished, ledger.failed]).filter(retired)
    for place in rows["file"].unique().to_pylist():
        file = ledger.files[place]
        SHARDS.write_part(folder, FAILED if is_failed(file) else FINISHED, storage.read_table(file).filter(~retired))
        storage.remove(file)


def _ledger(rows: pa.Table, files: tuple[str, ...], weights: str | None, layout: str | None) -> Ledger:
    rows = rows.replace_schema_metadata(None).combine_chunks()
    encoded = rows["video"].combine_chunks().dictionary_encode()
    video, count = encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)
    clip_counts = np.zeros(count, np.int32)
    np.maximum.at(clip_counts, video, rows["clip_count"].to_numpy())
    done = np.flatnonzero(rows["error"].is_null().to_numpy())
    # A batch that was written twice, for example by a worker that was replaced, may be in two files; each clip counts
    # once.
    done = done[np.unique(_pairs(video, rows["clip_index"])[done], return_index=True)[1]]
    files_of = np.unique(_pairs(video, rows["file"]))
    finished = rows.take(done)
    offsets = _offsets(video[done], count)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(video[done], values, count).astype(np.int64)

    videos = {
        "video": encoded.dictionary,
        "clip_count": clip_counts,
        "done": pa.ListArray.from_arrays(offsets, finished["clip_index"].combine_chunks()),
        "files": pa.ListArray.from_arrays(_offsets(files_of >> 32, count), (files_of & 0xFFFFFFFF).astype(np.int32)),
        "frames": total(finished["stop_frame"].to_numpy() - finished["start_frame"].to_numpy()),
        "detections": total(finished["detections"].to_numpy()),
        **{
            name: finished[name].take(pa.array(offsets[:-1], mask=np.diff(offsets) == 0)) for name in ("fps", "version")
        },
    }
    return Ledger(pa.table(videos), finished, rows.filter(rows["error"].is_valid()), files, weights, layout)


def _pairs(video: Int64[np.ndarray, " rows"], second: pa.ChunkedArray) -> Int64[np.ndarray, " rows"]:
    """Two 32-bit numbers packed into one, which sorts by the first, then by the second."""
    return (video << 32) + second.to_numpy()


def _offsets(video: Int64[np.ndarray, " rows"], count: int) -> np.ndarray:
    """First row of each of `count` videos in rows that are sorted by video, and the number of rows at the end."""
    return np.append(0, np.cumsum(np.bincount(video, minlength=count))).astype(np.int32)
