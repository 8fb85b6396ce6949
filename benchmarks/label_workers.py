"""Throughput of `label` over one and two detector processes of one thread each; their ratio in one run.

python benchmarks/label_workers.py [seconds of each of eight films]

The films are of synthetic people (`jobs.synthesize`), the detector is BlazePose. Frames/s count from the first clip
begun to the last one written. Prints one JSON line.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILMS = {"people": 4, "views": 2}


def run(job: str, **fields: object) -> None:
    """Run a job in a process of its own, as a user does."""
    command = [sys.executable, "-m", f"jobs.{job}", *(f"{name}={value}" for name, value in fields.items())]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    result: dict[str, object] = {"benchmark": "label_workers"}
    with tempfile.TemporaryDirectory() as folder:
        run("synthesize", output=f"{folder}/films", seconds=seconds, **FILMS)
        for detectors in (1, 2):
            output = Path(folder, f"out{detectors}")
            workers = {"workers.detectors": detectors, "workers.cpus_per_detector": 1}
            run("label", videos=f"{folder}/films", output=output, **workers)
            done = json.loads((output / "report.json").read_text())["run"]
            result |= {f"frames_per_s_{detectors}": round(done["frames_per_s"], 1), "frames": done["frames"]}
    one, two = (float(str(result[f"frames_per_s_{detectors}"])) for detectors in (1, 2))
    print(json.dumps(result | {"ratio": round(two / one, 2)}))


if __name__ == "__main__":
    main()
