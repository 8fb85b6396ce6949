"""write, N:1: one file per batch of images, named by the hash of their ids; failed images in a file of their own."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipelines.evaluate_detector.ledger import SHARDS
from schemas.errors import RunFailed


class WritePredictions:
    """Writes batches of looked-at images into a folder; writing a batch again replaces it by the same."""

    def __init__(self, folder: str, settings: Mapping[str, Any]) -> None:
        self._folder, self._settings = folder, dict(settings)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Write a batch; returns what the driver hears of each image, `user_error` and `run_failed` too."""
        failure = None
        if batch["user_error"].null_count == len(batch):
            try:
                SHARDS.write(self._folder, batch, self._settings)
            except RunFailed as error:
                failure = str(error)
        heard = batch.select(["image_id", "error", "read_s", "detect_s", "user_error"])
        counts = batch["people"].combine_chunks().value_lengths()
        heard = heard.append_column("people", counts)
        return heard.append_column("run_failed", pa.array([failure] * len(batch), pa.string()))
