"""write, N:1: one file per batch of images, named by the hash of their ids; failed images in a file of their own."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.evaluate_detector.ledger import SHARDS
from schemas.errors import RunFailed


class WritePredictions:
    """Writes batches of looked-at images into a folder; writing a batch again replaces it by the same."""

    def __init__(self, folder: str, settings: Mapping[str, Any]) -> None:
        self._folder, self._settings = folder, dict(settings)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Write a batch; returns what the driver hears of each image, `user_error` and `run_failed` too."""
        heard = batch.select(["image_id", "error", "read_s", "detect_s", "user_error", "run_failed"])
        # Of a job that is about to end, what is finished is kept.
        done = batch.filter(pc.field("user_error").is_null() & pc.field("run_failed").is_null())
        if len(done):
            try:
                SHARDS.write(self._folder, done, self._settings)
            except RunFailed as error:
                failed = pa.array([str(error)] * len(batch), pa.string())
                heard = heard.set_column(heard.schema.get_field_index("run_failed"), "run_failed", failed)
        counts = batch["people"].combine_chunks().value_lengths()
        return heard.append_column("people", counts)
