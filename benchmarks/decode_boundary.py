"""What the boundary around the decoder costs: `python benchmarks/decode_boundary.py [folder]` prints one JSON line.

The video of `decode.py` is read in clips with PyAV, in this process and in the confined child of `IsolatedReader`; both
take turns, and the median of their rounds counts. Processor time of the child is part of its costs, its start is not:
that is measured apart, to the answer of the first probe.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from decode import CLIP_FRAMES, ROUNDS, SIDES, make_video

from pipelines.video.frames import Frames
from pipelines.video.isolated import IsolatedReader
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader


def main() -> None:
    """Make the video, read it, print the line."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        video = make_video(folder / "1080p_gop30.mp4", 1920, 1080, 30)
        print(json.dumps({"benchmark": "decode_boundary", **compare(video), "start": start_of_child(video)}))


def compare(video: Path) -> dict[str, dict[str, dict[str, float]]]:
    """What each way costs at each size."""
    frames, results = probe(video).frame_count, {}
    for name, max_side in SIDES.items():
        rounds: dict[str, list[dict[str, float]]] = {"here": [], "child": []}
        for _ in range(ROUNDS):
            with VideoReader(video, max_side, "pyav") as reader:
                rounds["here"].append(costs(frames, reader.read, None))
            with IsolatedReader(60) as isolated:
                isolated.read(video, 0, 1, max_side)
                child = psutil.Process(isolated._process.pid if isolated._process else 0)

                def read(
                    start: int, stop: int, reader: IsolatedReader = isolated, side: int | None = max_side
                ) -> Frames:
                    return reader.read(video, start, stop, side)

                rounds["child"].append(costs(frames, read, child))
        results[name] = {
            way: {cost: statistics.median(each[cost] for each in several) for cost in several[0]}
            for way, several in rounds.items()
        }
    return results


def costs(frames: int, read: Callable[[int, int], Frames], child: psutil.Process | None) -> dict[str, float]:
    """Read the whole video."""
    started, started_cpu = time.perf_counter(), cpu_s(child)
    for start in range(0, frames, CLIP_FRAMES):
        read(start, min(start + CLIP_FRAMES, frames))
    seconds, used_s = time.perf_counter() - started, cpu_s(child) - started_cpu
    return {"frames_per_s": round(frames / seconds, 1), "cpu_ms_per_frame": round(1000 * used_s / frames, 2)}


def cpu_s(child: psutil.Process | None) -> float:
    """Processor time of this process and the child, s."""
    return sum(sum(process.cpu_times()[:2]) for process in (psutil.Process(), child) if process)


def start_of_child(video: Path) -> dict[str, float]:
    """Processor time of a child that starts and probes a video, and what it holds."""
    with IsolatedReader(60) as reader:
        reader.probe(video)
        child = psutil.Process(reader._process.pid if reader._process else 0)
        memory = child.memory_info()
        return {
            "cpu_s": round(cpu_s(child) - cpu_s(None), 2),
            "resident_mb": round(memory.rss / 1e6),
            "address_space_mb": round(memory.vms / 1e6),
        }


if __name__ == "__main__":
    main()
