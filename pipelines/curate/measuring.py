"""Measures the tracks of a file, and keeps what was measured in a file of its own."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from pipelines.curation.pose_rows import pose_rows
from pipelines.curation.quality import measure
from pipelines.io import storage
from pipelines.io.shards import FINISHED, digest, shard_metadata
from pipelines.tracks.keypoint_reader import survey
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.normalised import limbs
from pipelines.tracks.read_one_by_one import read_one_by_one
from pipelines.tracks.resample import resample
from schemas.errors import UserError
from schemas.formats.curation import MEASURES, MEASURES_FORMAT
from schemas.layouts import layout

# Tracks are resampled to this rate, frames/s, because jitter depends on it; slower tracks keep their own rate.
_FPS = 30.0


def measures_uri(output: str, file: str) -> str:
    """Where the measures of a tracks file are kept; another file, or the same one changed, has another address."""
    fs, path = storage.filesystem(file)
    name = digest([MEASURES_FORMAT, storage.absolute(file), fs.size(path)])
    return storage.join(output, "measures", f"{FINISHED}{name}.parquet")


def measure_file(file: str, output: str) -> int:
    """Measure all tracks of a file and write what was measured; returns the number of tracks.

    Raises:
        RunFailed: The file cannot be written.
    """
    infos = survey(file)
    rows = []
    for info, track in read_one_by_one(infos):
        rows.append({"track_id": info.track_id, "row": info.row, "frames": info.frames, **_measures(track)})
    schema = MEASURES.with_metadata(shard_metadata(MEASURES_FORMAT, {}, layout(infos[0].layout).name))
    storage.write_table(measures_uri(output, file), pa.Table.from_pylist(rows, schema=schema))
    return len(rows)


def _measures(track: KeypointTrack | str) -> dict[str, Any]:
    """The measured columns of a track, or the reason why it cannot be read."""
    if isinstance(track, str):
        return {"video": "", "error": track}
    try:
        rate = track.fps if track.fps > 0 else _FPS
        even = limbs(resample(track, min(_FPS, rate)))
    except UserError as error:
        return {"video": track.video, "error": str(error)}
    poses, step_s = pose_rows(even)
    return {"video": track.video, "error": None, "step_s": step_s, "poses": poses.ravel(), **asdict(measure(even))}
