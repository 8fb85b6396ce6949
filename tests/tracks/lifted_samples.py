"""Lifted tracks as a lifter would predict them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial.transform import Rotation

from pipelines.tracks.lifted_track import LiftedTrack
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.cameras import Intrinsics
from schemas.formats.poses import FORMAT, POSES
from schemas.layouts import layout

# Of the camera in front of a person who is standing.
HEIGHT_M, PITCH_DEG = 4.0, 30.0


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


def standing(x: float = 0.0, away: float = 6.0, **changes: Any) -> LiftedTrack:
    """A person who stands upright on the ground before a camera 4 m up that looks 30° down; axes of that camera."""
    body, names = np.zeros((17, 3), np.float32), layout("h36m17")
    for side, across in (("left", 0.2), ("right", -0.2)):
        for part, up in (("hip", 0.0), ("knee", -0.45), ("ankle", -0.9), ("shoulder", 0.5)):
            body[names.index(f"{side}_{part}")] = across, -up, 0
    turn = Rotation.from_euler("x", PITCH_DEG, degrees=True).as_matrix()
    root = np.array([x, HEIGHT_M - 0.9, away])
    return lifted(
        20,
        positions=np.tile(body @ turn.T, (20, 1, 1)).astype(np.float32),
        trajectory=np.tile(turn @ root, (20, 1)).astype(np.float32),
        **changes,
    )


def walking_away(
    steps: int = 6, seconds_each: float = 0.5, pitch_deg: float = 0.0, lean_deg: float = 0.0, **changes: Any
) -> LiftedTrack:
    """A person who walks away from a camera 1.5 m up, with a step of 0.7 m each time; axes of that camera.

    Args:
        steps: How often a foot is set down; one of them stands still after that, the other swings.
        seconds_each: How long that takes.
        pitch_deg: How far the camera looks down.
        lean_deg: How far the lifted person leans away from the camera; the feet stay where they are.
    """
    frames = round(steps * seconds_each * 30)
    at = np.arange(frames) / 30 / seconds_each
    step, phase = np.floor(at + 1e-6), (at + 1e-6) % 1
    swing = (1 - np.cos(np.pi * phase)) / 2
    joints, names = np.zeros((frames, 17, 3)), layout("h36m17")
    root = np.stack([0 * at, 0 * at + 0.6, 4 + 0.7 * (at - 0.5)], axis=1)
    lean = np.radians(lean_deg)
    for foot, (side, across) in enumerate((("left", 0.1), ("right", -0.1))):
        stands = (step % 2 == foot) | (steps == 1)
        ankle = root.copy()
        ankle[:, 0] = across
        ankle[:, 1] = np.where(stands, 1.5, 1.5 - 0.15 * np.sin(np.pi * phase))
        ankle[:, 2] = 4 + 0.7 * np.where(stands, np.minimum(step, steps - 1), step - 1 + 2 * swing)
        hip = root + np.array([across, 0, 0])
        shoulder = hip + np.array([0, -0.5 * np.cos(lean), 0.5 * np.sin(lean)])
        for part, place in (("hip", hip), ("knee", (hip + ankle) / 2), ("ankle", ankle), ("shoulder", shoulder)):
            joints[:, names.index(f"{side}_{part}")] = place - root
    turn = Rotation.from_euler("x", pitch_deg, degrees=True).as_matrix()
    return lifted(
        frames,
        positions=(joints @ turn.T).astype(np.float32),
        trajectory=(root @ turn.T).astype(np.float32),
        **changes,
    )


def write_poses(file: Path, tracks: Sequence[LiftedTrack]) -> str:
    """Write a poses file; returns its path."""
    table = pa.Table.from_pylist([track.to_row() | {"error": None} for track in tracks], schema=POSES)
    table = table.replace_schema_metadata({FORMAT_KEY: FORMAT.encode(), VERSION_KEY: b"9.9"})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file)
    return str(file)
