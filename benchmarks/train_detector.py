"""A detector from nothing on rendered people; prints one JSON line.

`python benchmarks/train_detector.py FOLDER [field=value …]`: the recipe jobs/recipes/detector_studio.yaml as its header
says, then two more epochs from its best.pt. Wall seconds are of whole commands, start-up and cutting people out
included; CPU seconds are of all their processes, for machines that are shared; there resources.cpus_per_worker=1 is
faster, as threads would wait for each other. FOLDER keeps what was rendered and trained: a second run goes on where the
first was, and its seconds are what that takes.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import torch

ROOT = Path(__file__).parents[1]
RECIPE = "jobs/recipes/detector_studio.yaml"
FILMS = {"studio": ("people=160", "seed=0"), "unseen": ("people=40", "seed=1")}
# The fine-tuning: other order and augmentation, a tenth of the learning rate.
MORE = ("optimization.epochs=2", "optimization.learning_rate=1e-4", "optimization.seed=1")
LOOK_S = 0.5


def run(job: str, *fields: str, tracking: str) -> dict[str, float]:
    """Run a job to its end; returns its wall and CPU seconds."""
    environment = os.environ | {"MLFLOW_TRACKING_URI": tracking}
    started, cpu_s = time.perf_counter(), {}
    command = [sys.executable, "-m", f"jobs.{job}", *fields]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    top = psutil.Process(process.pid)
    while process.poll() is None:
        for one in (top, *_children(top)):
            try:
                times = one.cpu_times()
                cpu_s[one.pid, one.create_time()] = times.user + times.system
            except psutil.NoSuchProcess:
                continue
        time.sleep(LOOK_S)
    if process.returncode:
        raise SystemExit(f"jobs.{job} ended with {process.returncode}")
    return {"wall_s": round(time.perf_counter() - started), "cpu_s": round(sum(cpu_s.values()))}


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def main(folder: Path, *more: str) -> None:
    """Render, train, tune, print."""
    tracking = f"sqlite:///{folder}/mlflow.db"
    for name, film in FILMS.items():
        if not (folder / name / "manifest.csv").exists():
            run("synthesize", f"output={folder}/{name}", "seconds=10", "fps=2", "views=1", *film, tracking=tracking)
    people = (f"data.folder={folder}/studio", f"validation.folder={folder}/unseen")
    # Measured: 1.4 times faster where the CPU has it; emulated, and slower, elsewhere.
    precision = "bf16" if torch.cpu._is_avx512_bf16_supported() else "float32"
    fields = (*people, f"resources.precision={precision}", *more)
    result: dict[str, object] = {"benchmark": "train_detector", "cpus": os.cpu_count(), "precision": precision}
    trained = run("train_detector", RECIPE, *fields, f"output={folder}/detector", tracking=tracking)
    result |= trained | _scores(folder / "detector")
    weights = f"weights={folder}/detector/best.pt"
    tuned = run("train_detector", RECIPE, *fields, weights, *MORE, f"output={folder}/tuned", tracking=tracking)
    result["tuned"] = tuned | _scores(folder / "tuned")
    print(json.dumps(result))


def _scores(output: Path) -> dict[str, float]:
    report = json.loads((output / "report.json").read_text())
    return {
        "epochs": report["epochs"],
        "people": report["people"],
        "pckh": round(100 * report["best"]["pckh"], 1),
        "people_per_s": round(report["last"]["people_per_s"]),
        "computing_share": round(report["last"]["computing_share"], 3),
    }


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: benchmarks/train_detector.py FOLDER [field=value ...]")
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    main(Path(sys.argv[1]).absolute(), *sys.argv[2:])
