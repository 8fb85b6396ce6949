"""What the system metrics of a job cost: seconds of a core and of a server for each sample, as a share of the job.

.venv/bin/python -m benchmarks.system_metrics [samples]

Runs are recorded in a SQLite file. One JSON line: CPU of this process for each sample with all that is sent of it, what
loading MLflow's monitors takes, the samples of jobs of some lengths, and the share of each that sampling takes of one
core. With more machines each has its own monitors, and this process sends a sample of each.
"""

import json
import os
import sys
import tempfile
import time

from pipelines.mlflow_runs import logged_models, system_metrics
from pipelines.mlflow_runs.system_metrics import MachineSampler, named

JOBS_S = {"1 min": 60, "10 min": 600, "1 h": 3600, "1 day": 86_400}


def samples_of(job_s: float) -> int:
    """How many samples a job of some length has."""
    at, count = system_metrics.LONG_JOB_S, 0
    while at < job_s:
        count += 1
        at += max(system_metrics._INTERVAL_S, system_metrics._INTERVAL_SHARE * at)
    return count


def main(samples: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        import mlflow

        client = mlflow.MlflowClient()
        run_id = client.create_run(client.create_experiment("costs")).info.run_id
        before = time.process_time()
        sampler = MachineSampler()
        metrics = sampler.sample()
        loading_s = time.process_time() - before
        before, began = time.process_time(), time.monotonic()
        for number in range(samples):
            metrics = named({"": sampler.sample()})
            logged_models.log_batch(run_id, metrics, number, int(1000 * time.time()))
        cpu_s, wall_s = (time.process_time() - before) / samples, (time.monotonic() - began) / samples
    shares = {
        name: {"samples": samples_of(job_s), "share": round((loading_s + samples_of(job_s) * cpu_s) / job_s, 6)}
        for name, job_s in JOBS_S.items()
    }
    row = {"metrics": len(metrics), "cpu_s_per_sample": round(cpu_s, 4), "wall_s_per_sample": round(wall_s, 4)}
    print(json.dumps({**row, "loading_cpu_s": round(loading_s, 3), "jobs": shares}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 200)
