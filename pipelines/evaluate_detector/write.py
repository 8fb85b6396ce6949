"""The stage write: a batch of images becomes one file, named by the hash of its ids; failed images get another."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipelines.evaluate_detector.ledger import SHARDS

# The columns that the driver gets for each image, besides the number of people in it.
WRITTEN_COLUMNS = ("image_id", "error", "read_s", "detect_s", "user_error", "run_failed")


class WritePredictions:
    """Writes batches of predictions into a folder; writing a batch again replaces it by an equal one."""

    def __init__(self, folder: str, settings: Mapping[str, Any]) -> None:
        self._folder, self._settings = folder, dict(settings)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Write a batch; returns `WRITTEN_COLUMNS` and how many `people` there are in each image."""
        written = SHARDS.write_or_mark(self._folder, batch, self._settings, WRITTEN_COLUMNS)
        return written.append_column("people", batch["people"].combine_chunks().value_lengths())
