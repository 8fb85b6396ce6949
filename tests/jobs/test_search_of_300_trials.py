"""A search of 300 short trials while its driver, a worker and MLflow's server are killed, one after another."""

import json
import os
from collections import Counter
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from mlflow_store import new_store
from ports import free_port
from running_jobs import Job, finish, processes_below, same_weights, wait_for
from servers import kill_server, start_mlflow
from train.training_samples import person, write
from tune.search_commands import RATE, RAY, Command, running_head

TRIALS = 300
# With the recipe's own rate first.
RATES = [0.01, *(float(f"{rate:.6g}") for rate in np.geomspace(1e-5, 0.3, TRIALS - 1))]


class Server:
    """MLflow's server, which is killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.address = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        store = ("--backend-store-uri", new_store(self._folder), "--artifacts-destination", f"{self._folder}/artifacts")
        self._process = start_mlflow(("server", *store, "--workers", "1"), self._port, self._folder)

    def kill(self) -> None:
        kill_server(self._process)


def ended(command: Command) -> int:
    return sum(trial["state"] == "finished" for trial in command.trials().values())


def reach(command: Command, job, trials: int) -> None:
    """Wait until so many trials have ended."""
    for least in range(ended(command), trials + 1, 5):
        wait_for(job, lambda least=least: ended(command) >= least)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(3600)
def test_300_trials_outlast_the_kills_of_a_worker_of_mlflow_and_of_the_driver(tmp_path, monkeypatch):
    corpus = write(tmp_path / "mocap", person("a", 300), person("b", 300, subject="S2"))
    server = Server(tmp_path)
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    space = f"search_space.{RATE}={{choice: {RATES}}}"
    with running_head() as head:
        command = Command(
            head, corpus, tmp_path / "out", "sampler=grid", "scheduler=none", space, "optimization.epochs=2"
        )
        job = command.start()
        reach(command, job, 30)
        (worker, *_) = wait_for(job, lambda: processes_below(head[0].pid, "ray::TrainingTrial"))
        worker.kill()
        reach(command, job, 60)
        server.kill()
        reach(command, job, 100)
        job.kill()
        job.wait()
        before = {name: trial for name, trial in command.trials().items() if trial["state"] == "finished"}
        assert command.left() == []
        job = command.start()
        reach(command, job, 140)
        server.start()
        try:
            assert job.wait(3000) == 0, job.text()
            text = job.text()
            assert "the tracking server cannot be used" in text, "it was away at the start"
            assert f"going on after {len(before)} of {TRIALS} trials" in text

            trials = command.trials()
            assert Counter(trial["state"] for trial in trials.values()) == {"finished": TRIALS}
            assert sorted(trial["parameters"][RATE] for trial in trials.values()) == sorted(RATES), "each once"
            for name, trial in before.items():
                assert trials[name] | {"run_id": ""} == trial | {"run_id": ""}, "it was not trained again"
            assert all(list(trial["scores_mm"]) == ["1", "2"] for trial in trials.values())
            report = json.loads((tmp_path / "out/report.json").read_text())
            assert [trial["trial"] for trial in report["trials"]] == sorted(trials)
            best = min(trials.values(), key=lambda trial: (trial["error_mm"], trial["trial"]))
            assert report["best"]["trial"] == best["trial"]
            recipe = yaml.safe_load((tmp_path / "out/best.yaml").read_text())
            assert recipe["optimization"]["learning_rate"] == best["parameters"][RATE]

            mlflow.set_tracking_uri(server.address)
            parent = mlflow.get_run(json.loads((tmp_path / "out/search.json").read_text())["run_id"])
            of_parent = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
            runs = mlflow.search_runs([parent.info.experiment_id], of_parent, output_format="list", max_results=1000)
            finished = {run.info.run_name: run for run in runs if run.info.status == "FINISHED"}
            assert parent.info.status == "FINISHED"
            assert Counter(run.info.run_name for run in runs if run.info.status == "FINISHED") == dict.fromkeys(
                (f"trial {name}" for name in trials), 1
            )
            for name, trial in trials.items():
                run = finished[f"trial {name}"]
                assert run.info.run_id == trial["run_id"]
                assert float(run.data.params[RATE]) == trial["parameters"][RATE]
                assert run.data.metrics["validation/mpjpe_mm"] == pytest.approx(trial["scores_mm"]["2"])
            code, text = command.end()
            assert (code, "nothing to do" in text) == (0, True)
            again = ("train", tmp_path / "out/best.yaml", f"output={tmp_path}/again", "resources.cpus_per_worker=1")
            finish(Job(again, environment=os.environ | RAY | {"RAY_ADDRESS": head[1]}))
            assert same_weights(tmp_path / "again", tmp_path / f"out/trials/{best['trial']}"), "the best, to the bit"
        finally:
            server.kill()
