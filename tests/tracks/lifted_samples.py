"""Lifted tracks as a lifter would predict them."""

from typing import Any

import numpy as np

from pipelines.tracks.lifted_track import LiftedTrack
from schemas.cameras import Intrinsics


def lifted(frames: int = 30, **changes: Any) -> LiftedTrack:
    """Seventeen points that swing about a root 4 m away; `changes` replace fields."""
    rng = np.random.default_rng(7)
    times = np.arange(frames) / 30.0
    rest = rng.normal(0, 0.4, (17, 3))
    rest[0] = 0
    swing = 0.05 * np.sin(3 * times[:, None, None] + np.arange(17)[None, :, None])
    positions = rest + swing * (np.arange(17) > 0)[:, None]
    values: dict[str, Any] = {
        "track_id": "t1",
        "video": "videos/walk.mp4",
        "subject": None,
        "action": None,
        "camera": None,
        "person": 0,
        "source": "bucket-0-of-1-abc.parquet",
        "model": "models:/lifter/1",
        "model_sha256": "0" * 64,
        "layout": "h36m17",
        "width": 640,
        "height": 480,
        "fps": 30.0,
        "start_frame": 0,
        "timestamps_s": times,
        "positions": positions.astype(np.float32),
        "trajectory": np.tile(np.array([0.1, 0.2, 4], np.float32), (frames, 1)),
        "interpolated": np.zeros(frames, bool),
        "keypoint_score": np.full(frames, 0.9, np.float32),
        "reprojection_px": np.full(frames, 3.0, np.float32),
        "reprojection": "perspective",
        "bone_length_deviation": np.full(frames, 0.02, np.float32),
        "intrinsics": Intrinsics(fx=600, fy=600, cx=320, cy=240),
        "intrinsics_provenance": "calibrated",
    }
    values |= changes
    values.setdefault("joint_scores", np.full(values["positions"].shape[:2], 0.9, np.float32))
    return LiftedTrack(**values)
