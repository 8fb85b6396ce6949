"""Rendering an MP4 of a lifted person: `python benchmarks/pose_video.py [minutes]` prints one JSON line.

Two videos of 720p, one ten times as long as the other (`minutes`, 10 by default), each rendered in a process of its
own: frames/s, and the memory that rendering adds at its peak, which must not grow with the video.
"""

import json
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from page_size import film

from pipelines.report.poses.pose_video import render_gif, render_mp4
from pipelines.report.poses.scene import Scene


def peak_mib() -> float:
    """Most memory this program used so far; `getrusage` would count what its parent had."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10


def measure(folder: Path) -> dict[str, float]:
    """Render the scene in a folder; the tracks themselves are in memory before."""
    # Written by `main` a moment ago.
    person = pickle.loads((folder / "person.pickle").read_bytes())  # noqa: S301
    scene, before = Scene("walk", (person,), folder / "walk.mp4"), peak_mib()
    started = time.perf_counter()
    render_mp4(folder / "out.mp4", scene)
    seconds, after = time.perf_counter() - started, peak_mib()
    render_gif(folder / "out.gif", scene)
    return {
        "frames": len(person.lifted),
        "peak_mib": round(after),
        "frames_per_s": round(len(person.lifted) / seconds, 1),
        "added_peak_mib": round(after - before),
        "mp4_mb_per_minute": round((folder / "out.mp4").stat().st_size / 1e6 / (len(person.lifted) / 1800), 2),
        "gif_mb": round((folder / "out.gif").stat().st_size / 1e6, 2),
    }


def main() -> None:
    """Make both videos, render each in a process of its own, print."""
    if len(sys.argv) == 3:
        print(json.dumps(measure(Path(sys.argv[2]))))
        return
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    result: dict[str, object] = {"benchmark": "pose_video"}
    for name, length in (("short", minutes / 10), ("long", minutes)):
        with tempfile.TemporaryDirectory() as folder:
            person = film(Path(folder, "walk.mp4"), length)
            Path(folder, "person.pickle").write_bytes(pickle.dumps(person))
            command = [sys.executable, __file__, "measure", folder]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            result[name] = json.loads(done.stdout)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
