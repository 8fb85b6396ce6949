"""The tune job as a user runs it, on two CPUs: through a SIGKILL, as a population, and when all goes wrong."""

import json
import os
import signal

import mlflow
import pytest
from mlflow_store import inputs_of
from running_jobs import kill_once, wait_for
from train.training_samples import person, write
from tune.search_commands import RATE, Command, children, running_head

from jobs.command_line.arguments import read_config
from jobs.command_line.main import run_job
from pipelines.lifters.checkpoint import load_lifter
from pipelines.train.run import data_digest
from schemas.configs.train import TrainConfig

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write(tmp_path_factory.mktemp("tuning"), person("a", 300), person("b", 300, subject="S2"))


@pytest.fixture(scope="module")
def head():
    """The cluster's process and its address."""
    with running_head() as started:
        yield started


def contexts(run):
    """What a run has read its tracks for."""
    return {tag.value for each in inputs_of(run.info.run_id) for tag in each.tags}


@pytest.mark.timeout(600)
def test_trials_larger_than_half_the_cluster_take_turns_and_survive_a_kill(head, corpus, tmp_path):
    rates = (1e-2, 1e-7, 1e-6)
    space = f"search_space.{RATE}={{choice: {list(rates)}}}"
    size = ("resources.cpus_per_worker=2", "optimization.epochs=3", "asha.grace_epochs=1", "asha.reduction=2")
    fields = ("sampler=grid", space, *size, "repeat_best=1", "seeds=2", "metric=p_mpjpe_mm")
    command = Command(head, corpus, tmp_path / "out", *fields)
    kill_once(command.start(), lambda: command.trials().get("002", {}).get("state") == "running")
    (before,) = [trial for trial in command.trials().values() if trial["state"] == "finished"]
    model = tmp_path / "out/trials/001/best.pt"
    written = model.stat().st_mtime_ns
    interrupted = command.trials()["002"]["run_id"]

    code, text = command.end()
    assert code == 0, text
    trials = command.trials()
    repeats = [trials.pop(name) for name in ("004", "005")]
    assert [(trial["repeats"], trial["parameters"]["optimization.seed"]) for trial in repeats] == [
        ("001", 1),
        ("001", 2),
    ]
    assert [trial["state"] for trial in repeats] == ["finished", "finished"]
    assert "No trial is better than the config's own values on the people that trials were compared by (S2)." in text
    assert trials["001"]["parameters"][RATE] == 0.01
    assert sorted(trial["parameters"][RATE] for trial in trials.values()) == sorted(rates)
    assert trials["001"] == before
    assert model.stat().st_mtime_ns == written, "it was not trained again"
    assert trials["002"]["run_id"] == interrupted
    assert [trial["state"] for trial in trials.values()] == ["finished", "stopped", "stopped"]
    assert trials["002"]["reason"] == "by asha after epoch 1", "compared with those before the kill"
    assert command.left() == []

    assert "going on after 1 of 3 trials" in text
    report = json.loads((tmp_path / "out/report.json").read_text())
    best = report["best"]
    assert best["error_mm"] == min(t["error_mm"] for t in repeats) < 300
    trials |= {trial["trial"]: trial for trial in repeats}
    assert (tmp_path / "out/search.html").stat().st_size > 1e6
    load_lifter(str(tmp_path / "out/best.pt"))
    config = read_config(TrainConfig, [str(tmp_path / "out/best.yaml"), f"output={tmp_path}/best"])
    assert config.optimization.learning_rate == trials[best["trial"]]["parameters"][RATE]
    assert data_digest(config) == report["data"]
    assert (config.labeled, report["output"]) == (corpus, str(tmp_path / "out")), "both are absolute"
    assert not list(tmp_path.glob("out/**/training.pt")), "nobody goes on from them"

    parent, runs = children()
    assert parent.info.status == "FINISHED"
    assert set(runs) == {f"trial {name}" for name in trials}
    for name, trial in trials.items():
        run = runs[f"trial {name}"]
        assert (run.info.run_id, run.info.status) == (trial["run_id"], "FINISHED")
        assert float(run.data.params[RATE]) == trial["parameters"][RATE]
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/p_mpjpe_mm")
        assert min(entry.value for entry in history) == pytest.approx(trial["error_mm"])
        assert [entry.step for entry in history] == list(range(1, trial["epochs"] + 1))
    assert contexts(parent) == {"training", "validation"}
    pages = {file.path for file in mlflow.MlflowClient().list_artifacts(parent.info.run_id)}
    assert {"search.html", "report.json", "best.yaml", "best.pt", "trials.json", "figures"} <= pages
    (model,) = mlflow.search_logged_models([parent.info.experiment_id], output_format="list")
    winner = trials[best["trial"]]["run_id"]
    assert (model.source_run_id, model.params["lifter"]) == (winner, "temporal_conv")
    assert {metric.key for metric in model.metrics or ()} >= {"validation/p_mpjpe_mm"}
    described = parent.data.tags["mlflow.note.content"]
    assert f"/models/{model.model_id})" in described
    assert f"[{best['trial']}](#/experiments/{parent.info.experiment_id}/runs/{winner})" in described
    assert float(runs["trial 001"].data.params["learning_rate"]) == 0.01

    code, text = command.end()
    assert code == 0
    assert "nothing to do" in text


def test_a_population_goes_on_from_its_best(head, corpus, tmp_path):
    space = f"search_space.{RATE}={{choice: [1e-2, 1e-7]}}"
    population = ("scheduler=pbt", "sampler=grid", "pbt.interval_epochs=1", "optimization.epochs=4")
    command = Command(head, corpus, tmp_path / "out", space, *population)
    code, text = command.end()
    assert code == 0, text
    trials = command.trials()
    assert [trial["state"] for trial in trials.values()] == ["finished", "finished"]
    # Who comes first to a comparison finds nobody, at the next one perhaps nothing to go on from, at the third one all.
    source = trials["002"]["exploited"][0]
    assert source in [f"001 after epoch {epoch}" for epoch in (1, 2, 3)]
    assert f"trial 002 goes on from {source}" in text
    best, others = trials["001"]["scores_mm"], trials["002"]["scores_mm"]
    epoch = int(source.split()[-1])
    assert others[str(epoch)] > 2 * best[str(epoch)]
    assert others[str(epoch + 1)] < 1.5 * best[str(epoch)], "weights came along"
    _, runs = children()
    assert runs["trial 002"].data.tags["raylift.exploited"].startswith(source)
    assert command.left() == []


def test_a_front_over_lifters_has_a_recipe_and_a_model_for_each_of_its_trials(head, corpus, tmp_path):
    space = "search_space={lifter.name: {choice: [temporal_conv, residual_mlp]}, lifter.channels: {choice: [16, 64]}}"
    fields = ("sampler=grid", "scheduler=none", "metric=[mpjpe_mm,parameters]", "optimization.epochs=1")
    command = Command(head, corpus, tmp_path / "out", space, *fields, lifter=())
    code, text = command.end()
    assert code == 0, text
    trials = command.trials()
    assert [trial["state"] for trial in trials.values()] == ["finished"] * 4
    results = {name: (trial["error_mm"], trial["measures"]["parameters"]) for name, trial in trials.items()}
    front = {
        name
        for name, (error_mm, parameters) in results.items()
        if not any(error_mm > other_mm and parameters > fewer for other_mm, fewer in results.values())
    }
    assert front == set(json.loads((tmp_path / "out/report.json").read_text())["front"])
    assert {file.stem for file in (tmp_path / "out/front").iterdir()} == front
    for name in front:
        recipe = read_config(TrainConfig, [str(tmp_path / f"out/front/{name}.yaml"), f"output={tmp_path}/again"])
        model, card = load_lifter(str(tmp_path / f"out/trials/{name}/best.pt"))
        assert recipe.lifter.name == card.lifter == trials[name]["parameters"]["lifter.name"]
        assert sum(weights.numel() for weights in model.parameters()) == results[name][1]
    assert command.left() == []


def test_a_terminated_search_ends_as_an_interrupted_one(head, corpus, tmp_path):
    command = Command(
        head, corpus, tmp_path / "out", f"search_space.{RATE}={{choice: [1e-2]}}", "optimization.epochs=900"
    )
    job = command.start()
    wait_for(job, lambda: list(tmp_path.glob("out/trials/001/checkpoints/*/metrics.json")))
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 130, job.text()
    assert job.text().splitlines()[-1] == "tune: interrupted; run the same command again"
    assert "Traceback" not in job.text()
    assert command.left() == []

    limited = Command(
        head,
        corpus,
        tmp_path / "out",
        f"search_space.{RATE}={{choice: [1e-2]}}",
        "optimization.epochs=900",
        "budget=20s",
    )
    code, text = limited.end()
    assert (code, text.splitlines()[-1]) == (
        *(
            1,
            "tune: no trial of 1 is finished, 1 not yet ended within budget=20s: give more, or run the same "
            "command again",
        ),
    )
    assert limited.left() == []


def test_a_search_without_a_finished_trial_says_why(head, corpus, tmp_path):
    space = f"search_space.{RATE}={{choice: [1e30, 1e31]}}"
    command = Command(head, corpus, tmp_path / "out", "sampler=grid", space, "optimization.epochs=2")
    code, text = command.end()
    assert code == 1
    (line,) = [line for line in text.splitlines() if line.startswith("tune: ")]
    assert line.startswith("tune: no trial of 2 is finished, 2 failed: ")
    assert "the loss is not finite" in line
    assert (tmp_path / "out/search.html").exists()
    assert not (tmp_path / "out/best.yaml").exists()
    parent, runs = children()
    assert [run.info.status for run in (parent, *runs.values())] == ["FAILED"] * 3
    assert command.left() == []


def fields(corpus, output, *more):
    return [f"labeled={corpus}", f"output={output}", "data.validation_subjects=[S2]", *more]


def test_an_unknown_path_is_reported_before_anything_is_read(tmp_path, capsys):
    space = "search_space.optimization.lerning_rate={uniform: [0, 1]}"
    assert run_job("tune", fields("nowhere", tmp_path / "out", space)) == 2
    assert capsys.readouterr().err == (
        "tune: search_space.optimization.lerning_rate={uniform: [0, 1]}: there is no such field to search; "
        "did you mean optimization.learning_rate?\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_search_computes_without_its_tracking_server_which_gets_it_from_the_same_command_later(
    head, corpus, tmp_path, monkeypatch
):
    space = f"search_space.{RATE}={{choice: [1e-2, 1e-7]}}"
    store = os.environ["MLFLOW_TRACKING_URI"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, text = Command(head, corpus, tmp_path / "out", space, "sampler=grid", "optimization.epochs=2").end()
    assert code == 0, text
    (line,) = [line for line in text.splitlines() if "the tracking server cannot be used" in line]
    assert "MLFLOW_TRACKING_URI=http://127.0.0.1:9: " in line
    assert "urllib3" not in text
    summary = " ".join(text.split())
    assert "tracking MLFLOW_TRACKING_URI=http://127.0.0.1:9 did not answer: what it lacks is in" in summary
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert [trial["run_id"] for trial in report["trials"]] == [""] * 2

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    command = Command(head, corpus, tmp_path / "out", space, "sampler=grid", "optimization.epochs=2")
    written = (tmp_path / "out/trials/001/best.pt").stat().st_mtime_ns
    code, text = command.end()
    assert code == 0, text
    assert (tmp_path / "out/trials/001/best.pt").stat().st_mtime_ns == written
    parent, runs = children()
    assert json.loads((tmp_path / "out/search.json").read_text())["run_id"] == parent.info.run_id
    for name, trial in command.trials().items():
        run = runs[f"trial {name}"]
        assert (run.info.run_id, run.info.status) == (trial["run_id"], "FINISHED")
        assert float(run.data.params[RATE]) == trial["parameters"][RATE]
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/mpjpe_mm")
        assert {str(entry.step): entry.value for entry in history} == pytest.approx(trial["scores_mm"])
    assert "nothing to do" in command.end()[1]
