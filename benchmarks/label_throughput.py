"""Throughput of `label` against a plain one-process loop with the same detector, over 2,000 real frames or more.

python benchmarks/label_throughput.py [folder of videos]

The loop is what a script would do: read a clip, detect, keep the result, go on. It runs with one thread and with one
per CPU. Pipeline time is from the first clip begun to the last track written, the loop's from its first clip to its
last: neither counts starting processes and loading models; whole time has it all. Prints one JSON line.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipelines.detectors.loading import load_detector
from pipelines.label.video_sources import find_videos
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader
from schemas.job_config import PluginConfig

FRAMES = 2000
CLIP = 32
ROOT = Path(__file__).parents[1]
REAL_VIDEOS = ("tfjs_pose_1.mp4", "tfjs_pose_squats.mp4", "sports2d_demo.mp4", "opencv_vtest.avi")


def plain_loop(folder: str, threads: int) -> None:
    """Label all videos in this process; print frames and seconds."""
    detector = load_detector(PluginConfig(name="blazepose"), threads, "cpu")
    started = time.perf_counter()
    people = []
    for source in find_videos(folder):
        with VideoReader(source.uri, 640) as reader:
            for start in range(0, reader.info.frame_count, CLIP):
                frames = reader.read(start, min(start + CLIP, reader.info.frame_count))
                people += detector(frames.images)
    print(json.dumps({"frames": len(people), "seconds": time.perf_counter() - started}))


def fill(corpus: Path, videos: Path) -> None:
    """Link the videos into a folder again and again until they have enough frames."""
    counts = {name: probe(videos / name).frame_count for name in REAL_VIDEOS}
    total, copy = 0, 0
    while total < FRAMES:
        for name, frames in counts.items():
            (corpus / f"{copy}_{name}").symlink_to((videos / name).resolve())
            total += frames
        copy += 1


def timed(*command: str) -> tuple[float, str]:
    """Run a command; returns (wall seconds, last line of its output)."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Measure and print."""
    if len(sys.argv) == 4 and sys.argv[1] == "--loop":
        plain_loop(sys.argv[2], int(sys.argv[3]))
        return
    videos = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data/videos"
    with tempfile.TemporaryDirectory() as temporary:
        corpus, output = Path(temporary, "videos"), Path(temporary, "out")
        corpus.mkdir()
        fill(corpus, videos)
        result: dict[str, object] = {"benchmark": "label_throughput", "cpus": os.cpu_count()}
        whole, _ = timed("-m", "jobs.label", f"videos={corpus}", f"output={output}")
        run = json.loads((output / "report.json").read_text())["run"]
        result |= {
            "frames": run["frames"],
            "label_s": run["seconds"] - run["startup_s"],
            "label_startup_s": run["startup_s"],
            "label_whole_s": whole,
        }
        for threads in (1, os.cpu_count() or 1):
            loop_whole, line = timed(__file__, "--loop", str(corpus), str(threads))
            loop_s = json.loads(line)["seconds"]
            result |= {
                f"loop_{threads}_threads_s": loop_s,
                f"ratio_{threads}_threads": loop_s / (run["seconds"] - run["startup_s"]),
                f"whole_ratio_{threads}_threads": loop_whole / whole,
            }
    print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in result.items()}))


if __name__ == "__main__":
    main()
