"""The stage decode: each row of a planned clip gets its frames, scaled while decoding, or an error."""

import time
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.ray_cluster.logs import log_failure
from pipelines.video.errors import reason_of
from pipelines.video.fetch import fetch_video
from pipelines.video.isolated import IsolatedReader
from pipelines.video.thumbnails import thumbnails
from schemas.configs.label import DecodeConfig
from schemas.errors import RunFailed
from schemas.formats.detections import DECODED


class DecodeClips:
    """Adds the frames to rows of planned clips, one clip at a time, so that only one clip is in memory."""

    def __init__(self, config: DecodeConfig, reader: str, hosts: Collection[str] = ()) -> None:
        self._config, self._hosts = config, hosts
        self._reader = IsolatedReader(config.timeout_s, reader, config.decoder)
        # The reader's process is started now, so that it is ready when the detector has loaded.
        self._reader.start()

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Decode each clip of a batch; yields a table of one row for each."""
        for row in batch.to_pylist():
            started = time.perf_counter()
            row |= {"began_at": time.time(), "decoder": None, "decoded": [False] * len(row["timestamps_s"])}
            if row["error"] is None and row["run_failed"] is None:
                row |= self._frames(row)
            images = row.pop("frames", None)
            row["decode_s"] = time.perf_counter() - started
            table = pa.Table.from_pylist([row], schema=DECODED)
            column = table.schema.get_field_index("frames")
            yield table if images is None else table.set_column(column, "frames", _binary(images))

    def _frames(self, row: dict[str, Any]) -> dict[str, Any]:
        config, start = self._config, row["start_frame"]
        try:
            path = fetch_video(row["video"], int(config.cache_gb * 1e9), self._hosts)
            clip = self._reader.read(path, start, row["stop_frame"], config.max_side)
        except RunFailed as error:
            return {"run_failed": str(error)}
        except Exception as error:  # whatever error a hostile video causes, only this clip fails
            reason = reason_of(error)
            log_failure("label", "decode", row["video"], reason, clip_id=row["clip_id"])
            return {"error": reason}
        decoded = list(row["decoded"])
        pictures: list[bytes | None] = [None] * len(decoded)
        for index, thumbnail in zip(clip.indices, thumbnails(clip.images), strict=True):
            decoded[index - start], pictures[index - start] = True, thumbnail.tobytes()
        return {
            "decoder": clip.decoder,
            "decoded": decoded,
            "thumbnails": pictures,
            "damage": "; ".join(filter(None, (row["damage"], clip.damage))) or None,
            "frames": clip.images,
            "frame_width": clip.images.shape[2],
            "frame_height": clip.images.shape[1],
        }


def _binary(images: np.ndarray) -> pa.Array:
    """One binary value that shares the memory of the array."""
    offsets = pa.py_buffer(np.array([0, images.nbytes], np.int64))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(images)])
