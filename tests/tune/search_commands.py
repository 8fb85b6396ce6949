"""Searches as a user runs them, in processes of their own on a cluster of two CPUs, and what MLflow has of them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
import psutil
from running_jobs import ROOT, Job

RATE = "optimization.learning_rate"
# Said to both ends: a cluster and who joins it have other defaults.
RAY = {"RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
# What a search that has ended must have taken along.
OF_A_SEARCH = ("ray::TrainingTrial", "ray::TrainController", "ray::RayTrainWorker", "ray::Channel", "ray::_Lock")


@contextmanager
def running_head() -> Iterator[tuple[psutil.Process, str]]:
    """A cluster of two CPUs: its process and its address."""
    command = [sys.executable, "-m", "tune.ray_head"]
    # The repository comes first: jobs start in other folders, and tests/schemas would be taken for the package schemas.
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
    # As many processes at a time as Ray starts without a remark.
    environment = os.environ | RAY | {"PYTHONPATH": path, "RAY_worker_maximum_startup_concurrency": "8"}
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=nowhere
    ) as process:
        assert process.stdout is not None
        yield psutil.Process(process.pid), process.stdout.readline().strip()
        process.communicate()


class Command:
    """`python -m jobs.tune …` on the cluster, from a folder that is not the repository."""

    def __init__(self, head, corpus, output, *fields, lifter=("lifter.channels=16", "lifter.filter_widths=[3]")):
        self.output = output
        self._head = head[0]
        # The first trial has the recipe's own values.
        (output.parent / "recipe.yaml").write_text("optimization: {learning_rate: 0.01}\n")
        # Relative, because trials must find both although Ray Tune changes their working directory.
        corpus, output = os.path.relpath(corpus, output.parent), output.name
        files = ("recipe.yaml", f"labeled={corpus}", f"output={output}")
        self._job = ["tune", *files, "data.validation_subjects=[S2]", "optimization.batch_size=32", *lifter, *fields]
        self._environment = os.environ | RAY | {"RAY_ADDRESS": head[1]}

    def start(self):
        return Job(self._job, folder=self.output.parent, environment=self._environment)

    def end(self):
        """Run it; returns (exit code, what it said)."""
        job = self.start()
        try:
            return job.wait(250), job.text()
        finally:
            job.kill()

    def trials(self):
        """Every trial.json, by name."""
        files = sorted(self.output.glob("trials/*/trial.json"))
        return {file.parent.name: json.loads(file.read_text()) for file in files}

    def left(self):
        """Processes on the cluster that are a search's, once they had some seconds to leave."""
        deadline = time.monotonic() + 20
        while names := [name for name in map(_name, self._head.children(recursive=True)) if name in OF_A_SEARCH]:
            if time.monotonic() > deadline:
                return names
            time.sleep(0.1)
        return []


def _name(process):
    try:
        return " ".join(process.cmdline()).split(".")[0].split("(")[0].strip()
    except psutil.Error:
        return ""


def children():
    """(the search's run, its trials' by name)."""
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    trials = {run.info.run_name: run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert len(trials) == len(runs) - 1
    return parent, trials
