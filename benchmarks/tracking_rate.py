"""1,000 trials of a search on MLflow's REST server with PostgreSQL: `python benchmarks/tracking_rate.py [TRIALS]`.

Each trial is recorded as a search records it: its settings, 20 epochs of four metrics, its state. Nothing is trained,
so that the server is all that limits the rate. PostgreSQL is Debian's (`postgresql`), its driver is fetched by pip into
a temporary folder, artifacts go through the server. Prints one JSON line: seconds of a trial among the first and among
the last hundred, the whole time, and trials and requests a second.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import requests

from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.child_runs import begin_child
from schemas.configs.train import TrainConfig

EPOCHS, REQUESTS, EDGE = 20, 3, 100
DRIVER = "3.3.9"


def main() -> None:
    """Start the servers, record trials, print."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from cluster.postgres_process import installed, running_postgres
    from ports import free_port

    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder, running_postgres("mlflow") as postgres:
        driver = installed(Path(folder, "driver"), f"psycopg=={DRIVER}", f"psycopg-binary=={DRIVER}")
        address = f"http://127.0.0.1:{free_port()}"
        store = f"postgresql+psycopg://mlflow:none@127.0.0.1:{postgres}/mlflow"
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--port", address[17:]]
        command += ["--artifacts-destination", f"{folder}/artifacts", "--workers", "1"]
        environment = os.environ | {"PYTHONPATH": str(driver)}
        nowhere = subprocess.DEVNULL
        server = subprocess.Popen(command, env=environment, stdout=nowhere, stderr=nowhere)
        try:
            wait_for(f"{address}/health")
            os.environ["MLFLOW_TRACKING_URI"] = address
            mlflow.set_tracking_uri(address)
            print(json.dumps({"benchmark": "tracking_rate", "trials": trials, **recorded(trials)}))
        finally:
            server.terminate()
            server.wait()


def recorded(trials: int) -> dict[str, float]:
    """Record trials one after another."""
    config = TrainConfig.model_validate({"labeled": "cmu/tracks", "output": "out/search"})
    settings, times = config.model_dump(mode="json"), []
    with runs.record("tune", config) as search:
        started = time.perf_counter()
        for number in range(trials):
            began = time.perf_counter()
            trial = begin_child(search, f"trial {number:04d}", settings, {"raylift.trial": f"{number:04d}"})
            for epoch in range(1, EPOCHS + 1):
                values = {"mpjpe_mm": 50 + 40 / epoch, "p_mpjpe_mm": 40 + 30 / epoch}
                trial.log_metrics({"validation": values, "train": {"loss_total": 1 / epoch, "epoch_s": 1.0}}, epoch)
            trial.log_tags({"raylift.state": "finished"})
            trial.end("FINISHED")
            assert search.queue.settle(60)
            times.append(time.perf_counter() - began)
        whole_s = time.perf_counter() - started
    return {
        "first_trials_s": round(statistics.median(times[:EDGE]), 3),
        "last_trials_s": round(statistics.median(times[-EDGE:]), 3),
        "whole_s": round(whole_s, 1),
        "trials_per_s": round(trials / whole_s, 1),
        "requests_per_s": round(REQUESTS * trials / whole_s, 1),
    }


def wait_for(address: str) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + 120
    while True:
        try:
            requests.get(address, timeout=5).raise_for_status()
            return
        except OSError:
            assert time.monotonic() < deadline, f"{address} does not answer"
            time.sleep(0.5)


if __name__ == "__main__":
    main()
