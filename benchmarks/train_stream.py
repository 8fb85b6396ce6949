"""Streaming a corpus larger than memory: `python benchmarks/train_stream.py` prints one JSON line.

What a training worker does with its unlabeled tracks, through the functions it calls: survey them, learn their lengths,
draw batches from pools that are loaded while others are used. Files of a corpus are hard links to one file of made-up
people: 10⁸ frames take the disk of 10⁵. They come from the page cache, so a disk's or a bucket's speed is not in the
numbers; what decoding costs is. One batch of each hundred is timed with the wait for its pool: `slowest_batch_s`.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.datasets import reader
from pipelines.datasets.pool import StreamOptions, unlabeled_stream
from pipelines.datasets.reader import TrackInfo
from pipelines.datasets.resample import resample, resampled_lengths
from pipelines.datasets.sequences import Sequences, concatenate
from pipelines.datasets.windows import WindowShape
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.layouts import layout
from schemas.tracks import FORMAT, TRACKS

FPS = 25.0
# A minute and a bucket, as `jobs.label` links them.
TRACK_FRAMES, TRACKS_PER_FILE = 1500, 64
BATCH = 1024


def make_corpus(folder: Path, frames: int) -> int:
    """Write a bucket of people who drift about the image, and link it as often as it takes; returns the files."""
    random = np.random.default_rng(0)
    rows = [_track(random, number) for number in range(TRACKS_PER_FILE)]
    table = pa.Table.from_pylist(rows, schema=TRACKS)
    pq.write_table(
        table.replace_schema_metadata({FORMAT_KEY: FORMAT.encode(), VERSION_KEY: b"benchmark"}),
        folder / "bucket-00000.parquet",
        compression="zstd",
    )
    files = -(-frames // (TRACK_FRAMES * TRACKS_PER_FILE))
    for number in range(1, files):
        os.link(folder / "bucket-00000.parquet", folder / f"bucket-{number:05d}.parquet")
    return files


def _track(random: np.random.Generator, number: int) -> dict[str, object]:
    steps = random.normal(0, 1, (TRACK_FRAMES, 17, 2)).astype(np.float32)
    keypoints = (320 + np.cumsum(steps, 0)).astype(np.float32)
    return {
        **{"track_id": f"{number:032x}", "video": f"{number}.mp4", "person": 0, "width": 640, "height": 480},
        **{"start_frame": 0, "frames": TRACK_FRAMES, "fps": FPS, "layout": "coco17"},
        "intrinsics_provenance": "none",
        "timestamps_s": np.arange(TRACK_FRAMES) / FPS,
        "boxes": random.uniform(0, 400, 4 * TRACK_FRAMES).astype(np.float32),
        "box_scores": random.uniform(0, 1, TRACK_FRAMES).astype(np.float32),
        "keypoints": keypoints.ravel(),
        "scores": random.uniform(0, 1, 17 * TRACK_FRAMES).astype(np.float32),
        "interpolated": np.zeros(TRACK_FRAMES, bool),
    }


class Memory:
    """The most this process held, sampled."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        process = psutil.Process()
        while True:
            self.peak_mb = max(self.peak_mb, process.memory_info().rss / 1e6)
            time.sleep(0.2)


def load(infos: Sequence[TrackInfo]) -> Sequences:
    """As `pipelines/train/data.py` loads a pool."""
    tracks = (resample(track, FPS) for track in reader.read_rows(infos, labels=False))
    return concatenate(tracks, layout=layout("coco17"), needs_intrinsics=False)


def main() -> None:
    """Make, survey, stream, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=float, default=1e8)
    parser.add_argument("--pool-frames", type=float, default=2e6)
    parser.add_argument("--pools", type=int, default=5, help="how many to draw from, after which the rest is alike")
    parser.add_argument("--chunk", type=int, default=1, help="frames predicted a sample")
    told = parser.parse_args()
    memory = Memory()
    with tempfile.TemporaryDirectory() as folder:
        files = make_corpus(Path(folder), int(told.frames))
        began = time.perf_counter()
        tracks = reader.survey(folder)
        surveyed, survey_mb = time.perf_counter(), memory.peak_mb
        lengths = resampled_lengths(tracks, FPS)
        measured, lengths_mb = time.perf_counter(), memory.peak_mb
        options = StreamOptions(WindowShape(27, told.chunk, False), BATCH // told.chunk, 0, "none")
        stream = unlabeled_stream(tracks, lengths, load, int(told.pool_frames), options)
        planned, frames_each_s, slowest_s, number = time.perf_counter(), [], 0.0, 0
        for _ in range(told.pools):
            pool_began, drawn = time.perf_counter(), 0
            while drawn < told.pool_frames:
                asked = time.perf_counter()
                stream.batch(number)
                slowest_s = max(slowest_s, time.perf_counter() - asked)
                number, drawn = number + 1, drawn + BATCH
            frames_each_s.append(round(drawn / (time.perf_counter() - pool_began)))
    result = {
        "benchmark": "train_stream",
        **{"cpus": os.cpu_count(), "frames": sum(lengths), "tracks": len(tracks), "files": files},
        "pool_frames": int(told.pool_frames),
        **{"survey_s": round(surveyed - began, 1), "survey_mb": round(survey_mb)},
        **{"lengths_s": round(measured - surveyed, 1), "lengths_mb": round(lengths_mb)},
        "plan_s": round(planned - measured, 1),
        "frames_per_s_of_pools": frames_each_s,
        **{"slowest_batch_s": round(slowest_s, 2), "peak_mb": round(memory.peak_mb)},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
