"""The stage write: a batch of clips becomes one file, named by the hash of its clip ids; failed clips get another."""

import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipelines.label.ledger import SHARDS

# The columns that the driver gets for each written clip: enough for progress and report, without the frames.
WRITTEN_COLUMNS = (
    *("video", "clip_index", "clip_count", "start_frame", "stop_frame", "decoder", "error", "detections"),
    *("plan_s", "decode_s", "detect_s", "began_at", "user_error", "run_failed"),
)


class WriteDetections:
    """Writes batches of detected clips into a folder; writing a batch again replaces it by an equal one."""

    def __init__(self, folder: str, settings: Mapping[str, Any]) -> None:
        self._folder, self._settings = folder, dict(settings)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Write a batch; returns `WRITTEN_COLUMNS` and `write_s`."""
        started = time.perf_counter()
        written = SHARDS.write_or_mark(self._folder, batch, self._settings, WRITTEN_COLUMNS)
        share_s = (time.perf_counter() - started) / len(batch)
        return written.append_column("write_s", pa.array([share_s] * len(batch)))
