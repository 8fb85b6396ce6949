"""The train job as a user runs it: to the end, again, and through SIGKILLs of a worker and of the whole job."""

import json
import re
import shutil
import signal
import threading
import time

import mlflow
import psutil
import pytest
from mlflow_store import new_store
from running_jobs import Job, checkpoints, kill_once, same_weights
from train.training_samples import person, write

from jobs.command_line.main import run_job

pytestmark = pytest.mark.ray
EPOCHS = 12
SMALL = ("lifter.filter_widths=[3,3]", "lifter.channels=32")
FAILING = ("lifter=failing_lifter:FailingLifter", *SMALL)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    labeled = write(folder / "labeled", person("a", 300), person("b", 300, subject="S2"))
    return labeled, write(folder / "unlabeled", person("d", 300))


def arguments(corpus, output, *more):
    return [
        *(f"labeled={corpus[0]}", f"unlabeled={corpus[1]}", f"output={output}", "data.validation_subjects=[S2]"),
        *(*SMALL, f"optimization.epochs={EPOCHS}", "optimization.batch_size=64", "resources.cpus_per_worker=1"),
        *more,
    ]


@pytest.fixture(scope="module")
def undisturbed(corpus, embedded_ray, tmp_path_factory):
    """A training that nothing disturbed, and its MLflow run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(folder))
        mlflow.set_tracking_uri(new_store(folder))
        assert run_job("train", arguments(corpus, folder / "out")) == 0
        runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return folder / "out", runs


def test_the_output_is_a_lifter_and_a_report(undisturbed):
    from pipelines.lifters.checkpoint import load_lifter

    output, runs = undisturbed
    report = json.loads((output / "report.json").read_text())
    model, card = load_lifter(str(output / "best.pt"))
    assert (card.input_layout, card.output_layout, card.fps, card.window.inputs) == ("h36m17", "h36m17", 50, 9)
    assert card.lineage.items() >= {"run_id": runs[0].info.run_id, "data": report["data"]}.items()
    assert card.subjects == ["S1"]
    assert model.trajectory is not None
    assert 1 < report["best_epoch"] <= EPOCHS, "the first epoch has not seen the unlabeled tracks"
    assert report["warmup_epochs"] == 1
    assert report["tracks"] == {
        **{"training": 1, "validation": 1, "unlabeled": 1},
        "shorter_than_receptive_field": 0,
    }


def test_the_run_is_in_mlflow_epoch_by_epoch(undisturbed):
    output, (run,) = undisturbed
    assert run.info.status == "FINISHED"
    assert run.data.params["lifter.channels"] == "32"
    logged = run.data.metrics
    assert {"train/loss_total", "train/learning_rate", "train/frames_per_s", "train/pose_mm"} <= logged.keys()
    report = json.loads((output / "report.json").read_text())
    assert logged["validation/best_mpjpe_mm"] == report["best_validation_mpjpe_mm"], "the warm-up does not count"


def test_figures_and_the_best_and_the_last_lifter_are_in_mlflow(undisturbed, monkeypatch):
    output, (run,) = undisturbed
    mlflow.set_tracking_uri(new_store(output.parent))
    figures = mlflow.MlflowClient().list_artifacts(run.info.run_id, "figures")
    assert [file.path for file in figures] == ["figures/held_out.png", "figures/losses.png"]
    report = json.loads((output / "report.json").read_text())
    names = {"out-best"} | ({"out-last"} if report["best_epoch"] < report["epochs"] else set())
    models = mlflow.search_logged_models([run.info.experiment_id], output_format="list")
    assert {model.name for model in models} == names


def test_the_same_command_again_does_nothing(undisturbed, corpus, capsys):
    assert run_job("train", arguments(corpus, undisturbed[0])) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_other_settings_are_refused(undisturbed, corpus, capsys):
    assert run_job("train", arguments(corpus, undisturbed[0], "optimization.seed=3")) == 2
    assert "was begun with optimization.seed=0, now optimization.seed=3" in capsys.readouterr().err


def test_tracks_that_changed_are_refused(undisturbed, corpus, tmp_path, capsys):
    output = tmp_path / "out"
    shutil.copytree(undisturbed[0], output)
    (output / "report.json").unlink()
    note = json.loads((output / "run.json").read_text())
    (output / "run.json").write_text(json.dumps(note | {"data": "of old"}))
    assert run_job("train", arguments(corpus, output)) == 2
    assert "the tracks have changed since it was begun" in capsys.readouterr().err


def test_a_killed_worker_is_replaced_and_nothing_changes(undisturbed, corpus, tmp_path, capsys):
    def kill_worker():
        while not checkpoints(tmp_path / "out"):
            time.sleep(0.05)
        # Of this session alone: others may train on the same machine.
        own = psutil.Process().children(recursive=True)
        next(p for p in own if "RayTrainWorker" in " ".join(p.cmdline())).send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_worker)
    killer.start()
    assert run_job("train", arguments(corpus, tmp_path / "out")) == 0
    killer.join()
    assert "workers died and were replaced" in capsys.readouterr().err
    assert same_weights(undisturbed[0], tmp_path / "out")


def test_a_killed_job_goes_on_where_it_was(undisturbed, corpus, tmp_path):
    kill_once(Job(["train", *arguments(corpus, tmp_path / "out")]), lambda: checkpoints(tmp_path / "out"))
    assert not (tmp_path / "out" / "report.json").exists()
    assert run_job("train", arguments(corpus, tmp_path / "out")) == 0
    assert same_weights(undisturbed[0], tmp_path / "out")
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/loss_total")
    assert [entry.step for entry in history] == list(range(1, EPOCHS + 1))
    assert run.info.status == "FINISHED"
    page = (tmp_path / "out" / "training.html").read_text()
    assert f'"name":"total","x":{json.dumps(list(range(1, EPOCHS + 1)), separators=(",", ":"))}' in page, "every epoch"


def test_two_workers_train(embedded_ray, corpus, tmp_path):
    changes = ("resources.num_workers=2", "optimization.epochs=2", "resources.cpus_per_worker=1")
    assert run_job("train", [*arguments(corpus, tmp_path / "out"), *changes]) == 0


def test_divergence_ends_the_job_with_one_line(embedded_ray, corpus, tmp_path, capsys):
    assert run_job("train", arguments(corpus, tmp_path / "out", "optimization.learning_rate=1e30")) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "not finite" in line]
    assert "epoch 1, step" in line


def test_more_than_the_cluster_has_is_refused(embedded_ray, corpus, tmp_path, capsys):
    assert run_job("train", arguments(corpus, tmp_path / "out", "resources.cpus_per_worker=64")) == 2
    assert "resources.cpus_per_worker=64" in capsys.readouterr().err


def test_a_worker_that_fails_alone_ends_the_training_of_all(embedded_ray, corpus, tmp_path, capsys):
    lifter = (*FAILING, f"lifter.attempts={tmp_path}/attempts.txt", "lifter.at=save")
    workers = ("resources.num_workers=2", "resources.cpus_per_worker=1")
    assert run_job("train", arguments(corpus, tmp_path / "out", *lifter, *workers)) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    assert line == "train: output: cannot be written: No space left on device"


TWO = ("resources.num_workers=2", "resources.cpus_per_worker=1", "optimization.epochs=2")


@pytest.mark.parametrize("stage", ["load", "validate", "report"])
def test_the_second_of_two_workers_fails_and_the_first_waits_no_minute(embedded_ray, corpus, tmp_path, capsys, stage):
    lifter = (*FAILING, f"lifter.attempts={tmp_path}/attempts.txt", f"lifter.at={stage}")
    # Both recordings are held out, so that both workers validate.
    held_out = ("data.validation_subjects=[S2,S3]", f"labeled={three_people(tmp_path)}")
    assert run_job("train", [*arguments(corpus, tmp_path / "out", *lifter, *TWO), *held_out]) == 1
    assert time.time() - (tmp_path / "attempts.txt").stat().st_mtime < 60
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    assert "training: IndexError: there is no joint 17 (failing_lifter.py:" in line


def test_a_worker_that_stands_still_is_named_and_replaced(embedded_ray, corpus, tmp_path, capsys, caplog):
    lifter = (*FAILING, f"lifter.attempts={tmp_path}/attempts.txt", "lifter.at=freeze", "resources.stall_s=40")
    assert run_job("train", arguments(corpus, tmp_path / "out", *lifter, *TWO)) == 0
    line = r"nothing has moved for \d+ s: worker 0 waits at \S+\.py:\d+, worker 1 has been silent for \d+ s, since "
    assert len(re.findall(line, caplog.text)) == 1, caplog.text
    assert "workers died and were replaced" in capsys.readouterr().err


def three_people(folder):
    people = [person(name, 300, subject=subject) for name, subject in (("a", "S1"), ("b", "S2"), ("c", "S3"))]
    return write(folder / "three", *people)


# One worker alone is slow: two show the same, and tests/training/test_failures.py what is made of an exception.
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_mistake_in_a_lifter_is_told_once_and_not_tried_again(embedded_ray, corpus, tmp_path, capsys, workers):
    lifter = (*FAILING, f"lifter.attempts={tmp_path}/attempts.txt")
    assert run_job("train", arguments(corpus, tmp_path / "out", *lifter, f"resources.num_workers={workers}")) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    assert "training: IndexError: there is no joint 17 (failing_lifter.py:" in line
    assert len((tmp_path / "attempts.txt").read_text().split()) <= workers
