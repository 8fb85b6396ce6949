"""write, N:1: one file per batch of clips, named by the hash of its clip ids; failed clips in a file of their own."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipelines import storage
from pipelines.label.ledger import FAILED, FINISHED, file_name
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, VERSION_KEY, WEIGHTS_KEY, __version__
from schemas.detections import DETECTIONS, FORMAT
from schemas.errors import RunFailed

# What the driver hears of each written clip: enough for progress and report, nothing of the frames.
WRITTEN_COLUMNS = [
    *("video", "clip_index", "clip_count", "start_frame", "stop_frame", "decoder", "error", "detections"),
    *("plan_s", "decode_s", "detect_s", "began_at", "user_error"),
]


class WriteDetections:
    """Writes batches of detected clips into a folder; writing a batch again replaces it by the same."""

    def __init__(self, folder: str, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._settings = json.dumps(dict(settings), sort_keys=True)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Write a batch; returns what the driver hears of it, `user_error` and `run_failed` too."""
        started = time.perf_counter()
        heard = batch.select(WRITTEN_COLUMNS)
        failure = None
        if batch["user_error"].null_count == len(batch):
            try:
                self._write(batch)
            except RunFailed as error:
                failure = str(error)
        share_s = (time.perf_counter() - started) / len(batch)
        heard = heard.append_column("write_s", pa.array([share_s] * len(batch)))
        return heard.append_column("run_failed", pa.array([failure] * len(batch), pa.string()))

    def _write(self, batch: pa.Table) -> None:
        metadata = {
            FORMAT_KEY: FORMAT.encode(),
            VERSION_KEY: __version__.encode(),
            SETTINGS_KEY: self._settings.encode(),
            WEIGHTS_KEY: batch["weights_sha256"][0].as_py().encode(),
            LAYOUT_KEY: batch["layout"][0].as_py().encode(),
        }
        rows = batch.select(DETECTIONS.names).cast(DETECTIONS).replace_schema_metadata(metadata)
        failed = rows["error"].is_valid()
        for kind, part in ((FINISHED, rows.filter(rows["error"].is_null())), (FAILED, rows.filter(failed))):
            if len(part):
                storage.write_table(storage.join(self._folder, file_name(kind, part)), part)
