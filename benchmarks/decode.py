"""Decoding speed, decord against PyAV: `python benchmarks/decode.py [folder|toy]` prints one JSON line.

Whole videos are read in clips through `VideoReader`, one decoding thread, at full size and scaled; the two
decoders take turns, and the median of their rounds counts. The numbers decide what `decoder=auto` takes
(`DECORD_LONGEST_GOP` in `pipelines/video/reader.py`). The videos are made in `folder`, or in a temporary one.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from pipelines.video.encode import VideoWriter
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
# What phones record (one keyframe a second) and what x264 does when nobody asks for anything.
GOPS = (30, 250)
SIDES = {"full": None, "640": 640}
DECODERS: tuple[Literal["decord", "pyav"], ...] = ("decord", "pyav")
FRAMES = 270
CLIP_FRAMES = 45
ROUNDS = 3
# Two pixels a frame to the side and one down: a slow pan, as in most videos of people.
PAN_PX = (1, 2)


def main() -> None:
    """Make the videos, read them, print the line."""
    with tempfile.TemporaryDirectory() as temporary:
        toy = sys.argv[1:] == ["toy"]
        folder = Path(sys.argv[1] if len(sys.argv) > 1 and not toy else temporary)
        sizes = {"small": (160, 90)} if toy else SIZES
        results = {
            f"{size}_gop{gop}": compare(make_video(folder / f"{size}_gop{gop}.mp4", *sizes[size], gop))
            for size in sizes
            for gop in GOPS
        }
    print(json.dumps({"benchmark": "decode", "clip_frames": CLIP_FRAMES, **results}))


def make_video(path: Path, width: int, height: int, gop: int) -> Path:
    """Encode a panned, grainy picture as H.264, unless the file is there."""
    if not path.exists():
        with VideoWriter(path, width, height, 30, gop_size=gop, options={"preset": "veryfast"}) as video:
            for frame in moving_picture(width, height):
                video.write(frame)
    return path


def moving_picture(width: int, height: int) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Blocks of several sizes under a pan, with sensor grain: neither trivial nor impossible to compress."""
    random = np.random.default_rng(0)
    picture = np.zeros((height, width, 3))
    for block_px in (80, 40, 8):
        coarse = random.uniform(0, 80, (-(-height // block_px), -(-width // block_px), 3))
        picture += coarse.repeat(block_px, 0).repeat(block_px, 1)[:height, :width]
    # Amplitude of the noise of a small camera in good light, grey levels.
    grain = random.normal(0, 3, (height, width, 1))
    for i in range(FRAMES):
        shifted = np.roll(picture, (PAN_PX[0] * i, PAN_PX[1] * i), (0, 1))
        noise = np.roll(grain, random.integers(0, height, 2), (0, 1))
        yield np.clip(shifted + noise, 0, 255).astype(np.uint8)


def compare(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """What each decoder costs at each size: {"full": {"decord": {"frames_per_s": …, …}, "pyav": …}, "640": …}."""
    results = {}
    for side, max_side in SIDES.items():
        rounds = [{name: read_in_clips(path, max_side, name) for name in DECODERS} for _ in range(ROUNDS)]
        results[side] = {
            name: {cost: statistics.median(each[name][cost] for each in rounds) for cost in rounds[0][name]}
            for name in DECODERS
        }
    return results


def read_in_clips(path: Path, max_side: int | None, decoder: Literal["decord", "pyav"]) -> dict[str, float]:
    """Read the whole video; the probe is not counted. Processor time holds when the machine is busy."""
    info = probe(path)
    started, started_cpu = time.perf_counter(), time.process_time()
    with VideoReader(path, max_side, decoder, info) as video:
        for start in range(0, info.frame_count, CLIP_FRAMES):
            video.read(start, min(start + CLIP_FRAMES, info.frame_count))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    return {
        "frames_per_s": round(info.frame_count / seconds, 1),
        "cpu_ms_per_frame": round(1000 * cpu_seconds / info.frame_count, 2),
    }


if __name__ == "__main__":
    main()
