"""The train job on a set as large as Human3.6M: `python benchmarks/gpu_training_job.py [cpu|cuda] [toy] [workers=N]`.

The job as users run it: Ray Train, its own data, objective, checkpoints and MLflow; 243 frames, 1,024 channels, batches
of 1,024. Prints one JSON line: seconds of the second epoch (the first one compiles kernels), frames/s, and the share of
the time that is spent in forward, backward and optimizer step.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gpu_corpus import write_people
from training_loop import ROOT, history_of

FIELDS = ("lifter.filter_widths=[3,3,3,3,3]", "lifter.channels=1024", "optimization.batch_size=1024")
TOY = ("lifter.filter_widths=[3,3]", "lifter.channels=16", "optimization.batch_size=64")


def main() -> None:
    """Make people, train, print."""
    given = sys.argv[1:]
    toy = "toy" in given
    workers = next((int(text.removeprefix("workers=")) for text in given if text.startswith("workers=")), 1)
    with tempfile.TemporaryDirectory() as folder:
        write_people(Path(folder, "tracks"), *((2_000, 500) if toy else ()))
        environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        fields = [f"labeled={folder}/tracks", f"output={folder}/out", "data.validation_subjects=[]"]
        fields += [f"resources.num_workers={workers}", f"resources.use_gpu={str('cuda' in given).lower()}"]
        command = [sys.executable, "-m", "jobs.train", *fields, *(TOY if toy else FIELDS), "optimization.epochs=2"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        last = {name: entries[-1].value for name, entries in history_of(environment["MLFLOW_TRACKING_URI"]).items()}
    print(json.dumps({"benchmark": "gpu_training_job", "workers": workers, **last}))


if __name__ == "__main__":
    main()
