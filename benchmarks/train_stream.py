"""Streaming a corpus larger than memory: `python benchmarks/train_stream.py` prints one JSON line.

What a training worker does with its unlabeled tracks, through the functions it calls: survey them, learn their lengths,
draw batches from pools that are loaded while others are used. Files of a corpus are hard links to one file of made-up
people: 10⁸ frames take the disk of 10⁵. They come from the page cache, so a disk's or a bucket's speed is not in the
numbers; what decoding costs is. `--train EPOCHS` runs the train job itself on such a corpus and prints its frames/s
epoch by epoch, and the most memory that its worker held.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import mlflow
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sampling.pool import StreamOptions, unlabeled_stream
from pipelines.sampling.sequences import Sequences, concatenate
from pipelines.sampling.windows import WindowShape
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.resample import resample, resampled_lengths
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.formats.tracks import FORMAT, TRACKS
from schemas.frame_window import FrameWindow
from schemas.layouts import layout

ROOT = Path(__file__).parents[1]
FPS = 25.0
# Frames of a track and tracks of a file, as `jobs.label` writes them.
TRACK_FRAMES, TRACKS_PER_FILE = 1500, 64
BATCH = 1024
TRAINING = (
    *("lifter.filter_widths=[3,3,3]", "lifter.channels=64", f"optimization.batch_size={BATCH}"),
    *("objective.projection=orthographic", "objective.warmup_epochs=0", "resources.cpus_per_worker=1"),
)


def make_corpus(folder: Path, frames: int) -> int:
    """Write a file of people who drift about the image, and hard-link it until there are enough; returns the files."""
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


def make_labeled(folder: Path) -> None:
    """Write some of the same people with positions."""
    random = np.random.default_rng(1)
    rows = [_track(random, number) for number in range(32)]
    for row in rows:
        keypoints = np.reshape(np.asarray(row["keypoints"]), (TRACK_FRAMES, 17, 2))
        positions = np.concatenate([(keypoints - 320) / 500, np.full((TRACK_FRAMES, 17, 1), 5.0)], -1)
        row |= {"positions": positions.astype(np.float32).ravel(), "positions_layout": "coco17"}
    table = pa.Table.from_pylist(rows, schema=TRACKS)
    metadata = {FORMAT_KEY: FORMAT.encode(), VERSION_KEY: b"benchmark"}
    pq.write_table(table.replace_schema_metadata(metadata), folder / "labeled.parquet", compression="zstd")


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
    tracks = (resample(track, FPS) for track in keypoint_reader.read_rows(infos, labels=False))
    return concatenate(tracks, layout=layout("coco17"), needs_intrinsics=False)


def train(folder: Path, frames: int, pool_frames: int, epochs: int) -> dict[str, object]:
    """Run the train job with the corpus as its unlabeled tracks."""
    for name in ("corpus", "labeled"):
        (folder / name).mkdir()
    files = make_corpus(folder / "corpus", frames)
    make_labeled(folder / "labeled")
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    fields = (f"labeled={folder}/labeled", f"unlabeled={folder}/corpus", f"output={folder}/out", *TRAINING)
    sizes = (f"data.pool_frames={pool_frames}", f"optimization.epochs={epochs}")
    command = [sys.executable, "-m", "jobs.train", *fields, *sizes]
    job, peak_mb = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL), 0.0
    while job.poll() is None:
        peak_mb = max([peak_mb, *_workers_mb(psutil.Process(job.pid))])
        time.sleep(0.5)
    assert job.returncode == 0
    mlflow.set_tracking_uri(environment["MLFLOW_TRACKING_URI"])
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/frames_per_s")
    return {
        "benchmark": "train_stream --train",
        **{"cpus": os.cpu_count(), "frames": files * TRACK_FRAMES * TRACKS_PER_FILE, "pool_frames": pool_frames},
        "frames_per_s_of_epochs": [round(entry.value) for entry in history],
        "worker_peak_mb": round(peak_mb),
    }


def _workers_mb(job: psutil.Process) -> list[float]:
    sizes_mb = []
    for process in job.children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(process.cmdline()):
                sizes_mb.append(process.memory_info().rss / 1e6)
        except psutil.Error:
            continue
    return sizes_mb


def main() -> None:
    """Make, survey, stream, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=float, default=1e8)
    parser.add_argument("--pool-frames", type=float, default=2e6)
    parser.add_argument("--pools", type=int, default=5, help="how many to draw from, after which the rest is alike")
    parser.add_argument("--chunk", type=int, default=1, help="frames predicted a sample")
    parser.add_argument("--train", type=int, metavar="EPOCHS", help="run the train job for so many epochs instead")
    arguments = parser.parse_args()
    if arguments.train:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(train(Path(folder), int(arguments.frames), int(arguments.pool_frames), arguments.train)))
        return
    memory = Memory()
    with tempfile.TemporaryDirectory() as folder:
        files = make_corpus(Path(folder), int(arguments.frames))
        began = time.perf_counter()
        tracks = keypoint_reader.survey(folder)
        surveyed, survey_mb = time.perf_counter(), memory.peak_mb
        lengths = resampled_lengths(tracks, FPS)
        measured, lengths_mb = time.perf_counter(), memory.peak_mb
        options = StreamOptions(
            WindowShape(FrameWindow.sliding(27), arguments.chunk), BATCH // arguments.chunk, 0, "none"
        )
        stream = unlabeled_stream(tracks, lengths, load, int(arguments.pool_frames), options)
        planned, frames_each_s, slowest_s, number = time.perf_counter(), [], 0.0, 0
        for _ in range(arguments.pools):
            pool_began, drawn = time.perf_counter(), 0
            while drawn < arguments.pool_frames:
                batch_began = time.perf_counter()
                stream.batch(number)
                slowest_s = max(slowest_s, time.perf_counter() - batch_began)
                number, drawn = number + 1, drawn + BATCH
            frames_each_s.append(round(drawn / (time.perf_counter() - pool_began)))
    result = {
        "benchmark": "train_stream",
        **{"cpus": os.cpu_count(), "frames": sum(lengths), "tracks": len(tracks), "files": files},
        "pool_frames": int(arguments.pool_frames),
        **{"survey_s": round(surveyed - began, 1), "survey_mb": round(survey_mb)},
        **{"lengths_s": round(measured - surveyed, 1), "lengths_mb": round(lengths_mb)},
        "plan_s": round(planned - measured, 1),
        "frames_per_s_of_pools": frames_each_s,
        **{"slowest_batch_s": round(slowest_s, 2), "peak_mb": round(memory.peak_mb)},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
