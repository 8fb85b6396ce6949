"""lift, 1:N: the tracks of a unit are read, lifted and written; the driver hears of each in a small row.

Also export alone, for tracks that were lifted before the format was asked for.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import torch

from pipelines.io.shards import FAILED, FINISHED
from pipelines.lift.exports import export
from pipelines.lift.lifting import LoadedLifter, lift_tracks
from pipelines.lift.plan import Unit, name_of
from pipelines.lift.read_tracks import describe, read_one_by_one
from pipelines.lift.write import PosesFile, failed_row
from pipelines.ray_cluster.logs import log_failure
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.lifted_reader import read_lifted
from schemas.configs.lift import ExportFormat
from schemas.errors import RunFailed

HEARD = pa.schema(
    [
        pa.field("track_id", pa.string()),
        pa.field("video", pa.string()),
        pa.field("frames", pa.int64()),
        pa.field("error", pa.string()),
        pa.field("began_at", pa.float64(), metadata={"unit": "s since 1970, when work on the unit began"}),
        pa.field("run_failed", pa.string()),
    ]
)


class LiftUnits:
    """Lifts units of tracks and writes a poses file for each.

    Args:
        load: Gives the lifter, once.
        folder: Where poses files go.
        settings: What the poses depend on, for the files' metadata.
        exports: Formats to export to, in folders beside the poses files.
        threads: CPU threads of the lifter.
        device: A torch device string.
    """

    def __init__(
        self,
        load: Callable[[], LoadedLifter],
        folder: str,
        settings: Mapping[str, Any],
        exports: Sequence[ExportFormat],
        threads: int,
        device: str,
    ) -> None:
        torch.set_num_threads(threads)
        self._lifter = load()
        self._lifter.model.to(device)
        self._folder, self._settings, self._exports = folder, dict(settings), tuple(exports)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Lift units, the column `unit` of a batch; yields a table of `HEARD` for each, once it is on disk."""
        for text in batch["unit"].to_pylist():
            began_at, unit = time.time(), Unit.from_json(text)
            try:
                rows, failure = self._lift(unit), None
            except RunFailed as error:
                rows, failure = [{"frames": 0}], str(error)
            rows = [row | {"began_at": began_at, "run_failed": failure} for row in rows]
            yield pa.Table.from_pylist(rows, schema=HEARD)

    def _lift(self, unit: Unit) -> list[dict[str, Any]]:
        folder, _, source = unit.file.rpartition("/")
        settings = self._settings | {"tracks": folder, "source": source}
        finished = PosesFile(FINISHED, self._lifter.card.output_layout, settings)
        failures: list[tuple[TrackInfo, str]] = []
        heard: list[dict[str, Any]] = []
        for info, lifted in lift_tracks(self._lifter, read_one_by_one(unit.tracks)):
            if isinstance(lifted, str):
                failures.append((info, lifted))
                continue
            export(lifted, self._folder, self._exports)
            finished.add(lifted.to_row())
            heard.append({"track_id": info.track_id, "video": lifted.video, "frames": len(lifted)})
        finished.write(self._folder)
        return heard + self._fail(unit.file, failures, settings)

    def _fail(
        self, file: str, failures: Sequence[tuple[TrackInfo, str]], settings: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        if not failures:
            return []
        lifter = self._lifter
        shared = {"model": lifter.name, "model_sha256": lifter.sha256, "layout": lifter.card.output_layout}
        shared["source"] = name_of(file)
        failed = PosesFile(FAILED, lifter.card.output_layout, settings)
        heard = []
        for (info, why), description in zip(failures, describe(file, [info for info, _ in failures]), strict=True):
            row = failed_row(info, description, shared, why)
            failed.add(row)
            log_failure("lift", "lift", row["video"], why, track_id=info.track_id)
            heard.append({"track_id": info.track_id, "video": row["video"], "frames": info.frames, "error": why})
        failed.write(self._folder)
        return heard


def export_rows(
    items: Sequence[Mapping[str, Any]], output: str, forms: Sequence[ExportFormat]
) -> Iterator[dict[str, Any]]:
    """Export tracks that lie in poses files already; yields `frames` or `run_failed` for each.

    Args:
        items: Poses files and their rows: `file`, `rows`.
        output: Holds the formats' folders.
        forms: The formats.
    """
    for item in items:
        try:
            for lifted in read_lifted(item["file"], set(item["rows"])):
                export(lifted, output, forms)
                yield {"frames": len(lifted), "run_failed": None}
        except RunFailed as error:
            yield {"frames": 0, "run_failed": str(error)}
