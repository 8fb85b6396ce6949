"""Whole-track lifting: 243 frames, 1024 channels, pose and trajectory, no flip.

python benchmarks/lifter_inference.py [cpu|cuda]

Per track length, each in a process of its own: frames/s of `lift` (model built, one short track lifted before), and the
peak memory that it adds to the process (cuda: to the device), which must not grow with the track beyond the track
itself and its result (about 0.4 kB a frame). Prints one JSON line.
"""

import json
import resource
import subprocess
import sys
import time

import torch

from pipelines.lifters.inference import lift
from pipelines.lifters.model import build_model
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

LENGTHS = (1_000, 10_000, 100_000)
H36M = LAYOUTS["h36m17"]


def peak_mib(device: str) -> float:
    """Most memory used so far."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def measure(device: str, frames: int) -> dict[str, float]:
    """Lift one track in this process."""
    torch.set_num_threads(2)
    model = build_model(PluginConfig(name="temporal_conv"), H36M, H36M, trajectory=True).to(device)
    lift(model, [torch.randn(8, len(H36M), 2)], flip=False)
    before_mib = peak_mib(device)
    track = torch.randn(frames, len(H36M), 2)
    started = time.perf_counter()
    lift(model, [track], flip=False)
    seconds = time.perf_counter() - started
    return {"frames_per_s": round(frames / seconds), "added_peak_mib": round(peak_mib(device) - before_mib)}


def main() -> None:
    """Measure each length in a process of its own, print."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    if len(sys.argv) == 3:
        print(json.dumps(measure(device, int(sys.argv[2]))))
        return
    result: dict[str, object] = {"benchmark": "lifter_inference", "device": device}
    for frames in LENGTHS:
        command = [sys.executable, __file__, device, str(frames)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        result[f"{frames}_frames"] = json.loads(done.stdout)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
