"""Small moving people for training tests: seen by a camera, labeled, written as tracks files."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.synthetic.cameras import project
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.cameras import Intrinsics
from schemas.configs.train import TrainConfig
from schemas.formats.tracks import FORMAT, TRACKS

INTRINSICS = Intrinsics(fx=1145, fy=1143, cx=512, cy=515, k1=-0.2, k2=0.24, p1=-1e-3, p2=1e-3, distortion="human36m")
FISHEYE = Intrinsics(fx=330, fy=328, cx=505, cy=498, k1=-0.03, k2=0.02, k3=-0.015, k4=0.004, distortion="fisheye")
FPS = 50.0


def person(name: str, frames: int = 60, subject: str = "S1", **changes: Any) -> KeypointTrack:
    """A labeled track of 17 points that swing about a root 5 m away, without noise; `changes` replace its fields."""
    rng = np.random.default_rng(list(name.encode()))
    times = np.arange(frames)[:, None, None] / FPS
    swing = 0.1 * np.sin(rng.uniform(2, 6, (1, 17, 3)) * times + rng.uniform(0, 6, (1, 17, 3)))
    rest = np.random.default_rng(1).normal(0, 0.35, (1, 17, 3))
    rest[:, 0] = 0
    root = np.array([0.3, 0.1, 5]) + 0.3 * np.sin(times)
    positions = rest + swing * (np.arange(17) > 0)[:, None] + root
    keypoints = project(changes.get("intrinsics") or INTRINSICS, positions)
    values: dict[str, Any] = {
        "track_id": name,
        "video": f"{name}.mp4",
        "subject": subject,
        "action": "Walking 1",
        "camera": "C0",
        "person": 0,
        "layout": "h36m17",
        "width": 1000,
        "height": 1000,
        "fps": FPS,
        "start_frame": 0,
        "timestamps_s": times.ravel(),
        "boxes": np.zeros((frames, 4), np.float32),
        "box_scores": np.ones(frames, np.float32),
        "keypoints": keypoints.astype(np.float32),
        "scores": np.ones((frames, 17), np.float32),
        "interpolated": np.zeros(frames, bool),
        "intrinsics": INTRINSICS,
        "intrinsics_provenance": "calibrated",
        "positions": positions.astype(np.float32),
        "positions_layout": "h36m17",
    }
    return KeypointTrack(**values | changes)


def write(folder: Path, *tracks: KeypointTrack) -> str:
    """Write a folder of tracks; returns its path."""
    table = pa.Table.from_pylist([track.to_row() for track in tracks], schema=TRACKS)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table.replace_schema_metadata({FORMAT_KEY: FORMAT.encode(), VERSION_KEY: b"1"}), folder / "a.parquet"
    )
    return str(folder)


def small(labeled: str, unlabeled: str | None, output: Path, **changes: Any) -> TrainConfig:
    """A training of seconds; `changes` are nested values over its own."""
    values: dict[str, Any] = {
        "labeled": labeled,
        "unlabeled": unlabeled,
        "output": str(output),
        "lifter": {"name": "temporal_conv", "filter_widths": [3, 3], "channels": 16, "dropout": 0.25},
        "optimization": {"epochs": 4, "batch_size": 32},
        "objective": {"warmup_epochs": 1},
    }
    for name, value in changes.items():
        values[name] = {**values[name], **value} if isinstance(values.get(name), dict) else value
    return TrainConfig.model_validate(values)
