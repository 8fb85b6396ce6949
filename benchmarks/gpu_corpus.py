"""Made-up people with labels, as large a set as Human3.6M's training subjects."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import FORMAT_KEY, VERSION_KEY
from schemas.cameras import Intrinsics
from schemas.formats.tracks import FORMAT, TRACKS

# S1, S5, S6, S7 and S8 seen by four cameras at 50 frames/s have 1,559,752 frames.
FRAMES, TRACK_FRAMES, FPS = 1_560_000, 5_000, 50.0
_TRACKS_PER_FILE = 16
_SIDE_PX, _FOCAL_PX = 1000, 1145.0


def write_people(folder: Path, frames: int = FRAMES, track_frames: int = TRACK_FRAMES) -> None:
    """Write tracks of so many frames in all, of 17 joints that swing about a person 5 m away."""
    folder.mkdir(parents=True)
    numbers = range(-(-frames // track_frames))
    for first in numbers[::_TRACKS_PER_FILE]:
        rows = [_row(number, track_frames) for number in numbers[first : first + _TRACKS_PER_FILE]]
        table = pa.Table.from_pylist(rows, schema=TRACKS)
        metadata = {FORMAT_KEY: FORMAT.encode(), VERSION_KEY: b"benchmark"}
        pq.write_table(table.replace_schema_metadata(metadata), folder / f"part-{first:05d}.parquet")


def _row(number: int, frames: int) -> dict[str, object]:
    random = np.random.default_rng(number)
    times = np.arange(frames, dtype=np.float32)[:, None, None] / FPS
    rest = np.random.default_rng(0).normal(0, 0.35, (1, 17, 3))
    speed, phase = random.uniform(1, 6, (1, 17, 3)), random.uniform(0, 6, (1, 17, 3))
    positions = (rest + 0.1 * np.sin(speed * times + phase) + (0, 0, 5)).astype(np.float32)
    keypoints = positions[..., :2] / positions[..., 2:] * _FOCAL_PX + _SIDE_PX / 2
    camera = Intrinsics(fx=_FOCAL_PX, fy=_FOCAL_PX, cx=_SIDE_PX / 2, cy=_SIDE_PX / 2)
    return {
        **{"track_id": f"{number:032x}", "video": f"{number}.mp4", "subject": f"S{number % 5}", "person": 0},
        **{"width": _SIDE_PX, "height": _SIDE_PX, "start_frame": 0, "frames": frames, "fps": FPS},
        **{"layout": "h36m17", "positions_layout": "h36m17", "intrinsics_provenance": "calibrated"},
        **{"timestamps_s": times.ravel().astype(float), "box_scores": np.ones(frames, np.float32)},
        **{"boxes": np.zeros(4 * frames, np.float32), "interpolated": np.zeros(frames, bool)},
        **{"keypoints": keypoints.ravel(), "scores": np.ones(17 * frames, np.float32)},
        **{"positions": positions.ravel(), "intrinsics": camera.model_dump()},
    }
