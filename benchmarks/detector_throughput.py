"""People per second of the label job's detector against the bare network on the same device; no Ray, no download.

python benchmarks/detector_throughput.py [cpu|cuda] [toy] [detector=hrnet|vitpose] [option=value ...]

Options are the detector's, such as channels=48 input_size=384x288 flip=true compile=default. For each batch size,
medians of rounds in turn:
  forward   the network alone, on crops that lie on the device, in the same precision and layout
  detector  frames in memory to people: upload, crops, network, decoding, duplicates
  job       what the job's process does: an Arrow clip of one batch in, an Arrow row of people out
Ratios are of wall-clock time, and on CPUs of processor time too, which holds on a busy machine. Frames are decoded and
people given (4 in each frame of 640 x 360), so that the network and what surrounds it are all that is measured. On a
GPU, the job again with several processes sharing it (workers.gpus_per_detector=0.5 and so on), which compute while
others wait. Then the share of the device's own rate of matrix products in that precision, and how many CPU cores decode
1080p for one such device (null where PyAV is missing). Prints one JSON line.
"""

import importlib
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from pipelines import registry
from pipelines.detectors.heatmaps import resolve_precision
from pipelines.label.decode import _binary
from pipelines.label.detect import DetectPeople
from schemas.formats.detections import DECODED
from schemas.job_config import PluginConfig

PEOPLE = 4
WIDTH, HEIGHT = 640, 360
# A round of a large batch takes a CPU a minute.
BATCHES, ROUNDS = {"cpu": (8, 64), "cuda": (64, 128, 256)}, {"cpu": 3, "cuda": 7}
AHEAD, PROCESSES, SHARED_S = 4, (2, 3), 10.0
# Matrices large enough for any device to reach its rate.
MATRIX = {"cpu": 2048, "cuda": 8192}
# Two people in view is what multi-person corpora have.
PEOPLE_IN_VIDEOS = 2

Times = tuple[float, float]
"""Seconds by the clock, and of processor time."""


class GivenPeople:
    """The same people in every frame, at no cost; stands in for what finds them."""

    weights_sha256 = ""

    def __init__(self, *_: Any) -> None:
        pass

    def __call__(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Side by side, each a fifth of the frame wide and three quarters of it high."""
        left = torch.arange(PEOPLE, device=frames.device) * (WIDTH / PEOPLE)
        boxes = torch.stack([left + 10, left * 0 + 40, left + 140, left * 0 + 320], 1)
        return boxes.expand(len(frames), -1, -1), torch.ones(len(frames), PEOPLE, device=frames.device)


def main() -> None:
    """Measure, print."""
    device, *given = sys.argv[1:] or ["cpu"]
    if toy := "toy" in given:  # shows that the measurement works
        given.remove("toy")
        BATCHES[device], ROUNDS[device] = (8,), 1
    options = {"name": "hrnet", "weights": "random:0", "persons": {"name": f"{Path(__file__).stem}:GivenPeople"}}
    options |= {name: yaml.safe_load(value) for name, _, value in (one.partition("=") for one in given)}
    options["name"] = options.pop("detector", options["name"])
    rates = {size: measure(options | {"batch_size": size}, device) for size in BATCHES[device]}
    best = max(rates, key=lambda size: rates[size]["job_crops_per_s"])
    shared = (
        {n: together(options | {"batch_size": best}, device, n) for n in PROCESSES}
        if device == "cuda" and not toy
        else {}
    )
    fastest = {
        "forward": max(rate["forward_crops_per_s"] for rate in rates.values()),
        "job": max(rates[best]["job_crops_per_s"], *shared.values(), 0),
    }
    dtype = resolve_precision(options.get("precision", "auto"), device)
    peak, needed = matmul_flops_per_s(device, dtype), flops_per_crop(options)
    threads = torch.get_num_threads()
    print(
        json.dumps(
            {
                "benchmark": "detector_throughput",
                "device": torch.cuda.get_device_name() if device == "cuda" else f"cpu, {threads} threads",
                "precision": str(dtype).removeprefix("torch."),
                "options": given,
                **{f"batch_{size}": rate for size, rate in rates.items()},
                **{f"job_crops_per_s_of_{n}_processes": rate for n, rate in shared.items()},
                "job_ratio": round(fastest["job"] / fastest["forward"], 3),
                "gflop_per_crop": round(needed / 1e9, 2),
                "matmul_tflops": round(peak / 1e12, 2),
                "share_of_matmul_rate": {name: round(rate * needed / peak, 3) for name, rate in fastest.items()},
                **({} if toy else decoding(fastest["job"])),
            }
        )
    )


def build(options: dict[str, Any], device: str) -> Any:
    """The detector alone."""
    plugin = registry.load(registry.DETECTORS, options["name"])
    fields = {name: value for name, value in options.items() if name != "name"}
    return plugin(plugin.Config(**fields), torch.get_num_threads(), device)


def build_job(options: dict[str, Any], device: str) -> Callable[[], None]:
    """What the job does with a clip whose people fill a batch."""
    stage = DetectPeople(PluginConfig(**options), torch.get_num_threads(), device)
    clip, people = decoded(frames_of(options["batch_size"])), options["batch_size"]

    def work() -> None:
        assert sum(row["detections"][0].as_py() for row in stage(clip)) == people

    return work


def measure(options: dict[str, Any], device: str) -> dict[str, float]:
    """Crops/s of network, detector and job, with clips of one batch."""
    size = options["batch_size"]
    detector = build(options, device)
    net, (width, height) = detector.net, detector.net.input_wh
    crops = torch.randn(size, 3, height, width, device=device)
    frames = frames_of(size)

    def forward() -> None:
        with torch.inference_mode():
            net(crops)
            if options.get("flip"):
                net(crops)

    works = {"forward": forward, "detector": lambda: detector(frames), "job": build_job(options, device)}
    times: dict[str, list[Times]] = {name: [] for name in works}
    for _ in range(ROUNDS[device] + 1):
        for name, work in works.items():
            times[name].append(timed(work, device))
    wall, processor = (
        {name: statistics.median(each[clock] for each in measured[1:]) for name, measured in times.items()}
        for clock in (0, 1)
    )
    rates = {f"{name}_crops_per_s": round(size / each, 1) for name, each in wall.items()}
    for name in ("detector", "job"):
        rates[f"{name}_ratio"] = round(wall["forward"] / wall[name], 3)
        if device == "cpu":
            rates[f"{name}_processor_ratio"] = round(processor["forward"] / processor[name], 3)
    return rates


def timed(work: Callable[[], Any], device: str, least_s: float = 1.0) -> Times:
    """What one piece of work takes, the mean of as many as fill `least_s`."""
    count, started, started_processor = 0, time.perf_counter(), time.process_time()
    while True:
        # A GPU is told of some batches ahead: the bare network owes nobody an answer after each.
        for _ in range(AHEAD if device == "cuda" else 1):
            work()
            count += 1
        if device == "cuda":
            torch.cuda.synchronize()
        if time.perf_counter() - started > least_s:
            return (time.perf_counter() - started) / count, (time.process_time() - started_processor) / count


def together(options: dict[str, Any], device: str, processes: int) -> float:
    """Crops/s of the jobs of several processes on one device."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(processes), context.SimpleQueue()
    children = [context.Process(target=work_beside, args=(options, device, ready, rates)) for _ in range(processes)]
    for child in children:
        child.start()
    total = sum(rates.get() for _ in children)
    for child in children:
        child.join()
    return round(total, 1)


def work_beside(options: dict[str, Any], device: str, ready: Any, rates: Any) -> None:
    """One of several processes: all begin at once."""
    job = build_job(options, device)
    job()
    ready.wait()
    rates.put(options["batch_size"] / timed(job, device, SHARED_S)[0])
    # Nobody has the device alone while others are still measured.
    ready.wait()


def frames_of(people: int) -> np.ndarray:
    """Frames with so many people in all."""
    return np.random.default_rng(0).integers(0, 256, (people // PEOPLE, HEIGHT, WIDTH, 3), np.uint8)


def decoded(frames: np.ndarray) -> pa.Table:
    """A clip as the decoding stage hands it on."""
    row = dict.fromkeys(DECODED.names) | {
        **{"clip_id": "0", "video": "v.mp4", "clip_index": 0, "clip_count": 1, "start_frame": 0},
        **{"stop_frame": len(frames), "timestamps_s": [i / 30 for i in range(len(frames))]},
        **{"width": 1920, "height": 1080, "frame_width": WIDTH, "frame_height": HEIGHT},
        "decoded": [True] * len(frames),
    }
    table = pa.Table.from_pylist([row], schema=DECODED)
    return table.set_column(table.schema.get_field_index("frames"), "frames", _binary(frames))


def flops_per_crop(options: dict[str, Any]) -> float:
    """Operations of the network for one crop, twice with the flip test."""
    plain = {"compile": "none", "backend": "torch", "precision": "float32", "channels_last": None}
    net = build(options | plain, "cpu").net
    width, height = net.input_wh
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.zeros(1, 3, height, width))
    return counter.get_total_flops() * (2 if options.get("flip") else 1)


def matmul_flops_per_s(device: str, dtype: torch.dtype) -> float:
    """The best rate of a large matrix product."""
    side = MATRIX[device]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    torch.mm(a, b)
    return 2 * side**3 / min(timed(lambda: torch.mm(a, b), device, 0.3)[0] for _ in range(3))


def decoding(crops_per_s: float) -> dict[str, float | None]:
    """CPU cores that decode 1080p, scaled to 640 pixels, as fast as people are looked at."""
    name = f"cores_for_1080p_at_{PEOPLE_IN_VIDEOS}_people"
    try:
        decode = importlib.import_module("decode")
    except ImportError:
        return {"decode_1080p_cpu_ms": None, name: None}
    with tempfile.TemporaryDirectory() as folder:
        video = decode.make_video(Path(folder) / "video.mp4", 1920, 1080, 30)
        milliseconds = decode.read_in_clips(video, WIDTH, "decord")["cpu_ms_per_frame"]
    frames_per_s = crops_per_s / PEOPLE_IN_VIDEOS
    return {"decode_1080p_cpu_ms": milliseconds, name: round(frames_per_s * milliseconds / 1000, 2)}


if __name__ == "__main__":
    main()
