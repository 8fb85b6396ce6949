"""A whole label job with HRNet on GPUs: `python benchmarks/gpu_label_job.py [cpu|cuda] [toy]` prints one JSON line.

Made-up 1080p videos with one person in each frame, two detector processes for each GPU. Frames/s are those of the job's
own report, from the first clip on; the use of the GPUs is the mean of what `nvidia-smi` says each second from the first
to the last second in which they compute, and says whether decoding or detecting is what holds the job up.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from decode import make_video

ROOT = Path(__file__).parents[1]
VIDEOS = 128
QUERY = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "--loop=1")
DETECTOR = ("detector=hrnet", "detector.weights=random:0", "detector.persons.name=whole_frame")
TOY = ("detector.channels=2", "detector.input_size=96x64")


def main() -> None:
    """Make the videos, label them, print."""
    cuda, toy = "cuda" in sys.argv, "toy" in sys.argv
    with tempfile.TemporaryDirectory() as temporary:
        folder, output, uses = Path(temporary, "videos"), Path(temporary, "out"), Path(temporary, "uses.csv")
        folder.mkdir()
        video = make_video(Path(temporary, "video.mp4"), *((320, 180) if toy else (1920, 1080)), 30)
        for number in range(2 if toy else VIDEOS):
            shutil.copy(video, folder / f"{number}.mp4")
        fields = [f"videos={folder}", f"output={output}", *DETECTOR, *(TOY if toy else ())]
        fields += ["workers.gpus_per_detector=0.5"] if cuda else []
        environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{temporary}/mlflow.db"}
        with uses.open("w") as file:
            watching = subprocess.Popen(QUERY, stdout=file) if cuda else None
            done = subprocess.run(
                [sys.executable, "-m", "jobs.label", *fields], cwd=ROOT, env=environment, capture_output=True, text=True
            )
            if watching:
                watching.terminate()
        if done.returncode:
            sys.exit(done.stderr)
        run = json.loads((output / "report.json").read_text())["run"]
        result = {"benchmark": "gpu_label_job", "frames": run["frames"], "frames_per_s": run["frames_per_s"]}
        print(json.dumps(result | {"startup_s": run["startup_s"]} | used(uses.read_text())))


def used(lines: str) -> dict[str, float]:
    """Mean use of the GPUs while they compute, 0 to 1, and the most memory of one; nothing without GPUs."""
    samples = [tuple(map(float, line.split(","))) for line in lines.splitlines() if line.count(",") == 1]
    busy = [index for index, (percent, _) in enumerate(samples) if percent > 0]
    if not busy:
        return {}
    working = samples[busy[0] : busy[-1] + 1]
    return {
        "gpu_use": round(statistics.mean(percent for percent, _ in working) / 100, 3),
        "gpu_memory_mb": max(memory for _, memory in working),
    }


if __name__ == "__main__":
    main()
