"""write, N:1: one file per batch of images, named by the hash of their ids; failed images in a file of their own."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipelines import storage
from pipelines.evaluate_detector.ledger import FAILED, FINISHED, file_name
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, VERSION_KEY, WEIGHTS_KEY, __version__
from schemas.errors import RunFailed
from schemas.predictions import FORMAT, PREDICTIONS


class WritePredictions:
    """Writes batches of looked-at images into a folder; writing a batch again replaces it by the same."""

    def __init__(self, folder: str, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._settings = json.dumps(dict(settings), sort_keys=True)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Write a batch; returns what the driver hears of each image, `user_error` and `run_failed` too."""
        failure = None
        if batch["user_error"].null_count == len(batch):
            try:
                self._write(batch)
            except RunFailed as error:
                failure = str(error)
        heard = batch.select(["image_id", "error", "read_s", "detect_s", "user_error"])
        counts = batch["people"].combine_chunks().value_lengths()
        heard = heard.append_column("people", counts)
        return heard.append_column("run_failed", pa.array([failure] * len(batch), pa.string()))

    def _write(self, batch: pa.Table) -> None:
        metadata = {
            FORMAT_KEY: FORMAT.encode(),
            VERSION_KEY: __version__.encode(),
            SETTINGS_KEY: self._settings.encode(),
            WEIGHTS_KEY: batch["weights_sha256"][0].as_py().encode(),
            LAYOUT_KEY: batch["layout"][0].as_py().encode(),
        }
        rows = batch.select(PREDICTIONS.names).cast(PREDICTIONS).replace_schema_metadata(metadata)
        failed = rows["error"].is_valid()
        for kind, part in ((FINISHED, rows.filter(rows["error"].is_null())), (FAILED, rows.filter(failed))):
            if len(part):
                storage.write_table(storage.join(self._folder, file_name(kind, part)), part)
