"""write, N:1: one file per batch of clips, named by the hash of its clip ids; failed clips in a file of their own."""

import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.label.ledger import SHARDS
from schemas.errors import RunFailed

# What the driver hears of each written clip: enough for progress and report, nothing of the frames.
WRITTEN_COLUMNS = [
    *("video", "clip_index", "clip_count", "start_frame", "stop_frame", "decoder", "error", "detections"),
    *("plan_s", "decode_s", "detect_s", "began_at", "user_error", "run_failed"),
]


class WriteDetections:
    """Writes batches of detected clips into a folder; writing a batch again replaces it by the same."""

    def __init__(self, folder: str, settings: Mapping[str, Any]) -> None:
        self._folder, self._settings = folder, dict(settings)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Write a batch; returns what the driver hears of it, `user_error` and `run_failed` too."""
        started = time.perf_counter()
        heard = batch.select(WRITTEN_COLUMNS)
        # Of a job that is about to end, what is finished is kept.
        done = batch.filter(pc.field("user_error").is_null() & pc.field("run_failed").is_null())
        if len(done):
            try:
                SHARDS.write(self._folder, done, self._settings)
            except RunFailed as error:
                failed = pa.array([str(error)] * len(batch), pa.string())
                heard = heard.set_column(heard.schema.get_field_index("run_failed"), "run_failed", failed)
        share_s = (time.perf_counter() - started) / len(batch)
        return heard.append_column("write_s", pa.array([share_s] * len(batch)))
