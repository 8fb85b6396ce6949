"""Throughput of `lift`, Parquet in to Parquet out, against the bare model on arrays: frames/s of a core.

python benchmarks/lift_throughput.py [small|large]

Both have the same threads, the same tracks and the mirror image's average. Once with one process of one thread, once
with one such process for each CPU: as many processes with the bare model run side by side then. The job's time is from
the first unit begun to the last track on disk, the model's around `lift` after a short track: neither counts starting
processes and loading models. Weights are random, motion is made up. Prints one JSON line.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from pipelines.lifters.checkpoint import LifterCard, load_lifter, save_lifter
from pipelines.lifters.inference import lift
from pipelines.lifters.model import build_model
from pipelines.pose.cameras import to_screen
from pipelines.tracks.keypoint_reader import read_tracks
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.keypoint_writer import write_tracks
from schemas.cameras import Intrinsics
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

ROOT = Path(__file__).parents[1]
H36M = LAYOUTS["h36m17"]
# A person is seen for a minute at a time.
TRACK_FRAMES = 3000
# Options of the lifter, and how many frames keep a core busy for half a minute or so.
CASES = {
    "small": ({"filter_widths": [3, 3, 3], "channels": 256}, 150 * TRACK_FRAMES),
    "large": ({"filter_widths": [3, 3, 3, 3, 3], "channels": 1024}, 10 * TRACK_FRAMES),
}


def make_lifter(file: str, options: dict) -> None:
    """Random weights, pose and trajectory."""
    torch.manual_seed(0)
    config = PluginConfig.model_validate({"name": "temporal_conv", **options})
    model = build_model(config, H36M, H36M, trajectory=True)
    shape = {"window": model.pose.window, "fps": 50.0, "trajectory": True}
    card = LifterCard(lifter="temporal_conv", config=options, input_layout="h36m17", output_layout="h36m17", **shape)
    save_lifter(file, model, card)


def make_track(number: int) -> KeypointTrack:
    """Points that wander about the middle of the image."""
    random, times = np.random.default_rng(number), np.arange(TRACK_FRAMES)[:, None, None] / 50
    swing = np.sin(random.uniform(1, 6, (1, 17, 2)) * times + random.uniform(0, 6, (1, 17, 2)))
    noise = random.normal(0, 2, (TRACK_FRAMES, 17, 2))
    return KeypointTrack(
        **dict.fromkeys(("subject", "action", "camera")),
        **{"person": 0, "layout": "h36m17", "width": 1000, "height": 1000, "fps": 50.0, "start_frame": 0},
        track_id=f"{number:08x}",
        video=f"{number}.mp4",
        timestamps_s=times.ravel(),
        boxes=np.zeros((TRACK_FRAMES, 4), np.float32),
        box_scores=np.ones(TRACK_FRAMES, np.float32),
        keypoints=(500 + 200 * swing + noise).astype(np.float32),
        scores=random.uniform(0.3, 1, (TRACK_FRAMES, 17)).astype(np.float32),
        interpolated=np.zeros(TRACK_FRAMES, bool),
        intrinsics=Intrinsics(fx=1145, fy=1143, cx=512, cy=515),
        intrinsics_provenance="calibrated",
    )


def bare_model(file: str, tracks: str) -> None:
    """Lift arrays in this process; print frames/s."""
    torch.set_num_threads(1)
    model, _ = load_lifter(file)
    inputs = [to_screen(torch.tensor(t.keypoints), t.width, t.height) for t in read_tracks(tracks)]
    lift(model, [inputs[0][:64]], flip=True)
    started = time.perf_counter()
    for first in range(0, len(inputs), 2):
        lift(model, inputs[first : first + 2], flip=True)
    print(sum(map(len, inputs)) / (time.perf_counter() - started))


def bare_models(count: int, file: str, tracks: str) -> float:
    """So many of them side by side; returns frames/s of all."""
    command = [sys.executable, __file__, "--bare", file, tracks]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return sum(float(process.communicate()[0]) for process in running)


def job(count: int, file: str, tracks: str, output: str) -> dict[str, float]:
    """The job with so many lifters; returns what its report says of the run."""
    fields = (f"model={file}", f"tracks={tracks}", f"output={output}", f"workers.lifters={count}")
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{output}.db"}
    command = [sys.executable, "-m", "jobs.lift", *fields]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return json.loads(Path(output, "report.json").read_text())["run"]


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--bare"]:
        bare_model(*sys.argv[2:])
        return
    cpus = os.cpu_count() or 1
    result: dict[str, object] = {"benchmark": "lift_throughput", "cpus": cpus}
    for name in sys.argv[1:] or CASES:
        options, frames = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            file, tracks = f"{folder}/lifter.pt", f"{folder}/tracks"
            make_lifter(file, options)
            write_tracks(tracks, map(make_track, range(frames // TRACK_FRAMES)), {})
            figures: dict[str, float] = {"frames": frames}
            for count in sorted({1, cpus}):
                run = job(count, file, tracks, f"{folder}/poses_{count}")
                model = bare_models(count, file, tracks) / count
                figures |= {
                    f"job_{count}_frames_per_s_core": round(run["frames_per_s"] / count),
                    f"model_{count}_frames_per_s_core": round(model),
                    f"ratio_{count}": round(run["frames_per_s"] / count / model, 3),
                    f"startup_{count}_s": round(run["startup_s"], 1),
                }
        result[name] = figures
    print(json.dumps(result))


if __name__ == "__main__":
    main()
