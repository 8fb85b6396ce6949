"""Small tracks and tracks files for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.tracks.keypoint_track import KeypointTrack
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.cameras import Intrinsics
from schemas.formats.tracks import FORMAT, TRACKS

INTRINSICS = Intrinsics(fx=1145, fy=1143, cx=512, cy=515, k1=-0.2, k2=0.24, p1=-1e-3, p2=1e-3, distortion="human36m")


def make_track(name: str = "t0", frames: int = 20, seed: int = 0, fps: float = 50, **changes: Any) -> KeypointTrack:
    """A labeled track of noise; `changes` replace its fields."""
    rng = np.random.default_rng((seed, frames))
    values: dict[str, Any] = {
        "track_id": name,
        "video": f"{name}.mp4",
        "subject": "S1",
        "action": "Walking 1",
        "camera": "C0",
        "person": 0,
        "layout": "coco17",
        "width": 1000,
        "height": 800,
        "fps": float(fps),
        "start_frame": 5,
        "timestamps_s": np.arange(frames) / (fps or 1) + 0.1,
        "boxes": rng.uniform(0, 800, (frames, 4)).astype(np.float32),
        "box_scores": rng.random(frames, np.float32),
        "keypoints": rng.uniform(0, 800, (frames, 17, 2)).astype(np.float32),
        "scores": rng.random((frames, 17), np.float32),
        "interpolated": rng.random(frames) < 0.2,
        "intrinsics": INTRINSICS,
        "intrinsics_provenance": "calibrated",
        "positions": rng.normal(0, 1, (frames, 17, 3)).astype(np.float32),
        "positions_layout": "h36m17",
    }
    return KeypointTrack(**values | changes)


def write_tracks(
    file: Path, tracks: Sequence[KeypointTrack], row_group_size: int | None = None, format_: str = FORMAT
) -> str:
    """Write a tracks file; returns its path."""
    table = pa.Table.from_pylist([track.to_row() for track in tracks], schema=TRACKS)
    table = table.replace_schema_metadata({FORMAT_KEY: format_.encode(), VERSION_KEY: b"9.9"})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, compression="zstd", row_group_size=row_group_size)
    return str(file)
