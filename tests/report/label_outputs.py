"""Small outputs of a label job with known numbers, in the job's format."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tracks.track_samples import make_track, write_tracks

from schemas import FORMAT_KEY, LAYOUT_KEY
from schemas.formats.detections import DETECTIONS, FORMAT


def somebody(score: float = 0.9, keypoint_score: float = 0.8, place_px: float = 40) -> dict[str, Any]:
    """A person whose 17 keypoints lie on a diagonal."""
    line = place_px + np.linspace(0, 40, 17)
    return {
        "box": [place_px, place_px, place_px + 40, place_px + 40],
        "score": score,
        "keypoints": np.stack([line, line], axis=-1).ravel().tolist(),
        "keypoint_scores": [keypoint_score] * 17,
    }


def clip(video: str, people: Sequence[Sequence[dict[str, Any]]], start: int = 0, **changes: Any) -> dict[str, Any]:
    """A finished clip with these people in each frame."""
    frames = len(people)
    return {
        **{"clip_id": f"{video}:{start}", "video": video, "clip_index": 0, "clip_count": 1, "fps": 20.0},
        **{"start_frame": start, "stop_frame": start + frames, "width": 160, "height": 120, "codec": "h264"},
        "timestamps_s": [(start + n) / 20 for n in range(frames)],
        **{"decoder": "pyav", "decoded": [True] * frames, "decode_s": 0.1, "detect_s": 0.2, "plan_s": 0.01},
        **{"people": [list(frame) for frame in people], "detections": sum(map(len, people))},
    } | changes


def failed(video: str, error: str = "not a video") -> dict[str, Any]:
    """A clip that could not be decoded."""
    nothing = {"timestamps_s": [], "decoded": [], "people": [], "detections": 0, "decoder": None, "error": error}
    return clip(video, []) | nothing


def write_detections(output: Path, *files: Sequence[dict[str, Any]]) -> None:
    """Write one file for each list of clips."""
    folder = output / "detections"
    folder.mkdir(parents=True, exist_ok=True)
    for number, clips in enumerate(files):
        table = pa.Table.from_pylist(list(clips), schema=DETECTIONS)
        table = table.replace_schema_metadata({FORMAT_KEY: FORMAT.encode(), LAYOUT_KEY: b"coco17"})
        pq.write_table(table, folder / f"part-{number:032x}.parquet", compression="zstd")


def write_lengths(output: Path, *frames: int) -> None:
    """Write tracks of these lengths, at 20 frames/s, every fourth frame interpolated."""
    tracks = [
        make_track(f"t{number}", count, fps=20, interpolated=np.arange(count) % 4 == 3)
        for number, count in enumerate(frames)
    ]
    write_tracks(output / "tracks" / "bucket-00000-of-00001-0.parquet", tracks)


def make_report(**changes: Any) -> dict[str, Any]:
    """`report.json` of a job that labeled two videos; `changes` replace values."""
    stages = {"plan": 0.5, "decode": 10.0, "detect": 40.0, "write": 0.1, "link": 0.4}
    return {
        **{"format": "raylift.report/1", "output": "out", "videos": 2, "videos_failed": 0, "clips": 3, "frames": 60},
        **{"people_in_frames": 55, "tracks": 3, "decoders": {"pyav": 2}, "failures": [], "damaged": []},
        "too_slow": [],
        "run": {
            **{"clips": 3, "frames": 60, "seconds": 65.0, "startup_s": 3.0, "frames_per_s": 21.5},
            "stages": {name: {"seconds": s, "frames_per_s": 60 / s} for name, s in stages.items()},
            "peak_memory_mb": 1234.5,
        },
        "digest": "0",
    } | changes
