"""How much of a training's time is spent training: `python benchmarks/training_loop.py` prints one JSON line.

The train job, as users run it: Ray Train, one worker, labeled and unlabeled tracks, checkpoints and MLflow. The share
is the time inside forward, backward and optimizer step over the time from the end of the first epoch to the end of the
last; the rest is gathering samples, checks, checkpoints, logging and Ray. Motion is made up.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow
import numpy as np
from mlflow.entities import Metric

ROOT = Path(__file__).parents[1]
FRAMES = 6000
EPOCHS = 4
TRAINING = (
    *("lifter.filter_widths=[3,3,3]", "lifter.channels=256", "data.subjects=[labeled]"),
    *("data.unlabeled_subjects=[unlabeled]", "objective.warmup_epochs=0", "optimization.batch_size=1024"),
)


def make_motion(path: Path) -> None:
    """Two people of 17 joints that swing about a standing pose."""
    random, times = np.random.default_rng(0), np.arange(FRAMES)[:, None, None] / 60
    rest = random.uniform((-0.3, -0.3, 0), (0.3, 0.3, 1.7), (1, 17, 3))
    people = {}
    for name in ("labeled", "unlabeled"):
        speed, phase = random.uniform(1, 6, (1, 17, 3)), random.uniform(0, 6, (1, 17, 3))
        people[name] = {"swing": (rest + 0.2 * np.sin(speed * times + phase)).astype(np.float32)}
    np.savez(path, positions_3d=np.array(people, dtype=object))


def history_of(tracking: str) -> dict[str, list[Metric]]:
    """What the only training in a tracking store has logged of its epochs."""
    mlflow.set_tracking_uri(tracking)
    client = mlflow.MlflowClient()
    (run,) = mlflow.search_runs(
        search_all_experiments=True, filter_string="tags.`raylift.job` = 'train'", output_format="list"
    )
    return {
        name: client.get_metric_history(run.info.run_id, f"train/{name}")
        for name in ("epoch_s", "computing_share", "frames_per_s")
    }


def main() -> None:
    """Import, train, print."""
    with tempfile.TemporaryDirectory() as folder:
        make_motion(Path(folder, "motion.npz"))
        environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        jobs = (
            (
                "import_poses",
                "source=mocap17",
                f"source.positions={folder}/motion.npz",
                "source.check=false",
                f"output={folder}/poses",
            ),
            ("train", f"labeled={folder}/poses/tracks", f"unlabeled={folder}/poses/tracks", f"output={folder}/out"),
        )
        for job, *fields in jobs:
            more = (*TRAINING, f"optimization.epochs={EPOCHS}") if job == "train" else ()
            command = [sys.executable, "-m", f"jobs.{job}", *fields, *more]
            subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        history = history_of(environment["MLFLOW_TRACKING_URI"])
    elapsed_s = (history["epoch_s"][-1].timestamp - history["epoch_s"][0].timestamp) / 1000
    computing_s = sum(
        e.value * s.value for e, s in zip(history["epoch_s"][1:], history["computing_share"][1:], strict=True)
    )
    result = {
        "benchmark": "training_loop",
        "cpus": os.cpu_count(),
        "epochs": EPOCHS - 1,
        "epoch_s": round(elapsed_s / (EPOCHS - 1), 2),
        "frames_per_s": round(history["frames_per_s"][-1].value),
        "computing_share": round(computing_s / elapsed_s, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
