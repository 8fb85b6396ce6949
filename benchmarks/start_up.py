"""How long a user waits for the first answer: help, a wrong command, "nothing to do", the first detected frame.

.venv/bin/python benchmarks/start_up.py [folder of one short video]

One JSON line a case: CPU seconds (user and system) of the command with its children that have ended, wall seconds, and
for the first detected frame also the wall seconds until the first clip is in the output.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
VIDEOS = ROOT / "../shared/data/videos/tfjs_pose_1.mp4"
RAYLIFT = (sys.executable, "-m", "jobs.command_line.main")


def run(words: list[str], folder: Path, detections: Path | None = None) -> dict[str, float]:
    """Run a command; with `detections`, also measure when the first file appears in that folder."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*RAYLIFT, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first = None
    while process.poll() is None:
        if detections is not None and first is None and any(detections.glob("*.parquet")):
            first = time.monotonic() - began
        time.sleep(0.05)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    row = {"cpu_s": round(cpu, 2), "wall_s": round(time.monotonic() - began, 2)}
    return row if first is None else row | {"first_detection_s": round(first, 2)}


def main() -> None:
    """Print a row for each case."""
    videos = Path(sys.argv[1] if len(sys.argv) > 1 else VIDEOS).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        label = ["label", f"videos={videos}", f"output={folder / 'out'}", "workers.clips_per_file=1"]
        cases = {
            "label --help": (["label", "--help"], None),
            "train --help": (["train", "--help"], None),
            "a misspelt field": ([*label, "workers.detector=1"], None),
            "first detected frame": (label, folder / "out" / "detections"),
            "nothing to do": (label, None),
        }
        for name, (words, detections) in cases.items():
            print(json.dumps({"case": name, **run(words, folder, detections)}), flush=True)


if __name__ == "__main__":
    main()
