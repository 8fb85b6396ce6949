"""The stage lift: the tracks of a unit are read, lifted and written; each yields one small row for the driver.

`export_videos` writes lifted tracks in other formats, a video at a time.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import torch

from pipelines.io.gpus import begin_on
from pipelines.io.shard_builder import ShardBuilder
from pipelines.io.shards import FAILED, FINISHED
from pipelines.lift.exports import ExportSettings, export_video
from pipelines.lift.lifting import LoadedLifter, lift_tracks
from pipelines.lift.plan import Unit, name_of
from pipelines.lift.with_feet import lifted_layout
from pipelines.ray_cluster.logs import log_failure
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.read_one_by_one import describe, read_one_by_one
from schemas.errors import RunFailed
from schemas.formats.poses import FORMAT, POSES

# The columns that the driver gets for each track.
RESULTS = pa.schema(
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
        load: Returns the lifter; called once.
        folder: Where poses files go.
        settings: What the poses depend on, for the files' metadata.
        threads: CPU threads of the lifter.
        device: A torch device string.
    """

    def __init__(
        self,
        load: Callable[[], LoadedLifter],
        folder: str,
        settings: Mapping[str, Any],
        threads: int,
        device: str,
    ) -> None:
        torch.set_num_threads(threads)
        self._lifter = load()
        begin_on(device)
        self._lifter.model.to(device)
        self._folder, self._settings = folder, dict(settings)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Lift units, the column `unit` of a batch; yields a table of `RESULTS` for each, once it is on disk."""
        for text in batch["unit"].to_pylist():
            began_at, unit = time.time(), Unit.from_json(text)
            try:
                results, failure = self._lift(unit), None
            except RunFailed as error:
                results, failure = [{"frames": 0}], str(error)
            results = [result | {"began_at": began_at, "run_failed": failure} for result in results]
            yield pa.Table.from_pylist(results, schema=RESULTS)

    def _lift(self, unit: Unit) -> list[dict[str, Any]]:
        finished, failed = self._poses_file(unit), self._poses_file(unit)
        failures: list[tuple[TrackInfo, str]] = []
        results: list[dict[str, Any]] = []
        for info, lifted in lift_tracks(self._lifter, read_one_by_one(unit.tracks)):
            if isinstance(lifted, str):
                failures.append((info, lifted))
                continue
            finished.add(lifted.to_row())
            results.append({"track_id": info.track_id, "video": lifted.video, "frames": len(lifted)})
        for row, info in self._failed_rows(unit.file, failures):
            failed.add(row)
            log_failure("lift", "lift", row["video"], row["error"], track_id=info.track_id)
            results.append({name: row[name] for name in ("track_id", "video", "error")} | {"frames": info.frames})
        for part, file in ((FINISHED, finished), (FAILED, failed)):
            if file.track_ids:
                file.write(self._folder, part, sorted(file.track_ids))
        return results

    def _poses_file(self, unit: Unit) -> ShardBuilder:
        folder, _, source = unit.file.rpartition("/")
        settings = self._settings | {"tracks": folder, "source": source}
        # All tracks of a file have one layout.
        made = lifted_layout(self._lifter.card, unit.tracks[0].layout)
        return ShardBuilder(POSES, FORMAT, made, settings)

    def _failed_rows(
        self, file: str, failures: Sequence[tuple[TrackInfo, str]]
    ) -> Iterator[tuple[dict[str, Any], TrackInfo]]:
        if not failures:
            return
        lifter = self._lifter
        shared = {"model": lifter.name, "model_sha256": lifter.sha256, "layout": lifter.card.output_layout}
        shared["source"] = name_of(file)
        descriptions = describe(file, [info for info, _ in failures])
        for (info, reason), description in zip(failures, descriptions, strict=True):
            yield failed_row(info, description, shared, reason), info


def failed_row(
    track: TrackInfo, description: Mapping[str, Any], shared: Mapping[str, Any], reason: str
) -> dict[str, Any]:
    """The row of a track that cannot be lifted.

    Args:
        track: The track.
        description: What its file says of it; None where that cannot be read.
        shared: Columns that are the same for all tracks of a file.
        reason: Why it cannot be lifted.
    """
    unknown = {"video": "", "person": 0, "width": track.width, "height": 0, "start_frame": 0, "fps": math.nan}
    lists = ("timestamps_s", "positions", "interpolated", "keypoint_score", "bone_length_deviation")
    known = {name: value for name, value in description.items() if value is not None}
    fixed = {"track_id": track.track_id, "frames": 0, "reprojection": "none", "error": reason}
    return unknown | {"intrinsics_provenance": "none"} | known | dict(shared) | fixed | {name: [] for name in lists}


def export_videos(
    items: Sequence[Mapping[str, Any]], output: str, settings: ExportSettings
) -> Iterator[dict[str, Any]]:
    """Export the lifted tracks of videos; yields `frames` or `run_failed` for each.

    Args:
        items: A video each: its poses files and, for each of them, the rows: `files`, `rows`.
        output: Folder that holds a folder for each format.
        settings: What the files are like.
    """
    for item in items:
        tracks = dict(zip(item["files"], item["rows"], strict=True))
        try:
            for lifted in export_video(tracks, output, settings):
                yield {"frames": len(lifted), "run_failed": None}
        except RunFailed as error:
            yield {"frames": 0, "run_failed": str(error)}
