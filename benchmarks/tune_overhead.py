"""What a trial costs through Tune over the same training alone: `python benchmarks/tune_overhead.py [rounds]`.

The train and the tune job as users run them, in turn, of the same training: one worker of one thread, labeled and
unlabeled tracks; the search has one trial. Time counts from the end of the first epoch to the end of the last, as
MLflow has it, so that neither start-up is in it; of several rounds the fastest counts. Start-ups are told beside it: of
the whole command, and in a search of each trial. Motion is made up. Prints one JSON line.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
from training_loop import ROOT, TRAINING, make_motion

EPOCHS = 4
FIELDS = (*TRAINING, "data.validation_subjects=[unlabeled]", f"optimization.epochs={EPOCHS}")
SEARCH = ("search_space.optimization.learning_rate={choice: [1e-3]}", "trials=1")


def job(name: str, *fields: str) -> float:
    """Run a job; returns its seconds."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", f"jobs.{name}", *fields], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def epochs_s(output: Path, note: str) -> float:
    """Time from the end of a training's first epoch to the end of its last."""
    run_id = json.loads((output / note).read_text())["run_id"]
    ends = [entry.timestamp for entry in mlflow.MlflowClient().get_metric_history(run_id, "train/epoch_s")]
    assert len(ends) == EPOCHS
    return (ends[-1] - ends[0]) / 1000


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    alone_s, trial_s, startup_s, trial_startup_s, command_startup_s = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "OMP_NUM_THREADS": "1"}
        mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
        make_motion(Path(folder, "motion.npz"))
        job(
            "import_poses",
            "source=mocap17",
            f"source.positions={folder}/motion.npz",
            "source.check=false",
            f"output={folder}/poses",
        )
        tracks = f"{folder}/poses/tracks"
        fields = (f"labeled={tracks}", f"unlabeled={tracks}", "resources.cpus_per_worker=1", *FIELDS)
        for number in range(rounds):
            alone, search = Path(folder, f"alone{number}"), Path(folder, f"search{number}")
            whole_s = job("train", *fields, f"output={alone}")
            alone_s.append(epochs_s(alone, "run.json"))
            startup_s.append(whole_s - alone_s[-1] * EPOCHS / (EPOCHS - 1))
            whole_s = job("tune", *fields, *SEARCH, f"output={search}")
            trial = search / "trials" / "001"
            trial_s.append(epochs_s(trial, "trial.json"))
            lasted_s = json.loads((trial / "trial.json").read_text())["seconds"]
            trial_startup_s.append(lasted_s - trial_s[-1] * EPOCHS / (EPOCHS - 1))
            command_startup_s.append(whole_s - lasted_s)
    result = {
        "benchmark": "tune_overhead",
        "cpus": os.cpu_count(),
        "epochs": EPOCHS - 1,
        "alone_s": round(min(alone_s), 2),
        "trial_s": round(min(trial_s), 2),
        "ratio": round(min(trial_s) / min(alone_s), 3),
        "startup_alone_s": round(min(startup_s), 1),
        "startup_search_s": round(min(command_startup_s), 1),
        "startup_trial_s": round(min(trial_startup_s), 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
