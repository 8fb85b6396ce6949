"""A search of a thousand short trials: `python benchmarks/many_trials.py [trials]` prints one JSON line.

The tune job, as users run it, with Ray, MLflow and the page: trials of one worker and one thread, each of one epoch
that takes about a second. Says how long the whole command takes, what its own process (the driver) computes and holds,
and how long trials take at the beginning, in the middle and at the end, which shows whether a trial's costs grow with
the number of trials before it. `over_training_s` is what a trial costs beside its training: from the end of a trial to
the end of the next one on the same core, less the epoch of the latter; the first tenth, when processes start, does not
count. Motion is made up.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from training_loop import ROOT, make_motion

SEARCH = (
    "search_space.optimization.learning_rate={loguniform: [1e-4, 1e-2]}",
    "search_space.lifter.dropout={uniform: [0.0, 0.4]}",
    "search_space.optimization.batch_size={choice: [64, 128, 256]}",
    *("scheduler=none", "data.validation_subjects=[unlabeled]", "optimization.epochs=1"),
    *("lifter.filter_widths=[3,3,3]", "lifter.channels=32", "resources.cpus_per_worker=1"),
)


def watched(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """CPU seconds and greatest memory (bytes) of a process until it ends, without its children."""
    driver, cpu_s, memory = psutil.Process(process.pid), 0.0, 0
    while process.poll() is None:
        try:
            times, resident = driver.cpu_times(), driver.memory_info().rss
        except psutil.NoSuchProcess:
            break
        cpu_s, memory = times.user + times.system, max(memory, resident)
        time.sleep(0.5)
    return cpu_s, memory


def main() -> None:
    """Search, print."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "OMP_NUM_THREADS": "1"}
        make_motion(Path(folder, "motion.npz"))
        poses, output = f"{folder}/poses", Path(folder, "search")
        source = ("source=mocap17", f"source.positions={folder}/motion.npz", "source.check=false")
        import_poses = [sys.executable, "-m", "jobs.import_poses", *source, f"output={poses}"]
        subprocess.run(import_poses, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        fields = [f"labeled={poses}/tracks", f"output={output}", f"trials={trials}", *SEARCH]
        started = time.time()
        process = subprocess.Popen([sys.executable, "-m", "jobs.tune", *fields], cwd=ROOT, stdout=subprocess.DEVNULL)
        cpu_s, memory = watched(process)
        whole_s = time.time() - started
        assert process.returncode == 0, f"the search ended with exit code {process.returncode}"
        files = sorted(output.glob("trials/*/trial.json"), key=lambda file: file.stat().st_mtime)
        ends_s = np.array([file.stat().st_mtime for file in files]) - started
        trial_s = np.array([json.loads(file.read_text())["seconds"] for file in files])
        reports = [json.loads(file.with_name("report.json").read_text()) for file in files]
    epoch_s = np.array([report["last"]["epoch_s"] for report in reports])
    tenth = len(files) // 10
    side_by_side = round(trial_s[tenth:].sum() / np.ptp(ends_s[tenth:]))
    between_ends_s = side_by_side * np.ptp(ends_s[tenth:]) / (len(files) - tenth - 1)
    middle = (len(files) - tenth) // 2
    parts = {"first": slice(tenth), "middle": slice(middle, middle + tenth), "last": slice(-tenth, None)}
    result = {
        "benchmark": "many_trials",
        "cpus": os.cpu_count(),
        "trials": len(files),
        "whole_s": round(whole_s),
        "driver_cpu_s": round(cpu_s),
        "driver_share_of_cpus": round(cpu_s / whole_s / (os.cpu_count() or 1), 3),
        "driver_memory_mib": memory // 2**20,
        "side_by_side": side_by_side,
        "epoch_s": round(float(epoch_s[tenth:].mean()), 2),
        "over_training_s": round(float(between_ends_s - epoch_s[tenth + 1 :].mean()), 2),
        **{f"trial_s_{name}_tenth": round(float(np.median(trial_s[part])), 2) for name, part in parts.items()},
        **{f"trials_per_min_{name}_tenth": round(60 * tenth / np.ptp(ends_s[part]), 1) for name, part in parts.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
