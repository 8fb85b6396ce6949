"""The state of a search: output, MLflow and sampler agree, after an interruption too."""

import json
from pathlib import Path

import mlflow
import pytest
from cluster.store_proxy import BUCKET, Proxy
from tune.search_samples import RATE, Notes, finish, job_of, space_of, tune_config

from pipelines.mlflow_runs import runs
from pipelines.tune import search_report, trial_records
from pipelines.tune.run import TuneJob, survey
from pipelines.tune.search import Search
from schemas.errors import RunFailed


def models(search: Search) -> list[str]:
    return sorted(file.parent.name for file in Path(search.config.output, "trials").glob("*/best.pt"))


@pytest.fixture
def config(tmp_path):
    return tune_config(f"output={tmp_path}/out", "trials=5", "sampler=random", "optimization.epochs=2")


def metrics(epoch: int) -> dict:
    return {"epoch": epoch, "loss": {"total": 1.0 / epoch}}


def test_each_trial_ends_once_and_an_interrupted_search_goes_on(config, tmp_path):
    space, notes = space_of(config), Notes()
    with runs.record("tune", config) as run:
        job_of(config).manifest.write(config.output, run.run_id, "search.json")
        search = Search(config, space, run, notes)
        first, second, third, fourth = (search.begin() for _ in range(4))
        assert (search.waiting, len(search.running)) == ([5], 4)
        for epoch, score_mm in ((1, 90.0), (2, 95.0)):
            search.epoch(1, epoch, score_mm, metrics(epoch))
        finish(search, 1, 90.0)
        assert (tmp_path / "out/best.pt").read_bytes() == b"lifter 1", "there from the first trial on"
        search.epoch(2, 1, 120.0, metrics(1))
        search.stop(2)
        search.fail(3, "the loss is not finite", hopeless=True)
        search.epoch(4, 1, 80.0, metrics(1))
        search.retry(4, "workers died")
        search.interrupt()
    assert notes.events[4:] == [
        *(("epoch", 1, 1), ("epoch", 1, 2), ("ended", 1, "finished")),
        *(("epoch", 2, 1), ("ended", 2, "stopped"), ("ended", 3, "failed")),
        *(("epoch", 4, 1), ("failed", 4, "workers died"), ("interrupted", 4)),
    ]
    states = {
        r.info.run_id: r.info.status for r in mlflow.search_runs(output_format="list", search_all_experiments=True)
    }
    trials = (first, second, third, fourth)
    assert [states[t.run_id] for t in trials] == ["FINISHED", "FINISHED", "FAILED", "KILLED"]

    begun = survey(job_of(config))
    with runs.record("tune", config, begun.run_id) as run:
        search, notes = Search(config, space, run, Notes()), Notes()
        assert {number: record.state for number, record in search.records.items()} == {
            **{1: "finished", 2: "stopped", 3: "failed", 4: "running"},
        }
        again = search.begin()
        assert (again.number, again.parameters, again.run_id) == (4, fourth.parameters, fourth.run_id)
        for epoch in (1, 2):
            search.epoch(4, epoch, 80.0 - epoch, metrics(epoch))
        finish(search, 4, 78.0, 2)
        assert search.begin().number == 5
        search.fail(5, "its process died", hopeless=False)
        assert search.waiting == []
        report = search_report.write_report(search, "digest", run)
    assert [entry.step for entry in mlflow.MlflowClient().get_metric_history(fourth.run_id, "train/loss_total")] == [
        1,
        2,
    ]
    assert report["best"] == {"trial": "004", "error_mm": 78.0, "best_epoch": 2}
    assert (tmp_path / "out/best.pt").read_bytes() == b"lifter 4"
    assert json.loads((tmp_path / "out/report.json").read_text()) == json.loads(json.dumps(report))

    with runs.record("tune", config, begun.run_id) as run:
        assert Search(config, space, run, Notes()).waiting == [5], "only what failed for no fault of its own"
        more = config.model_copy(update={"trials": 8})
        assert Search(more, space, run, Notes()).waiting == [5, 6, 7, 8]
    child = mlflow.get_run(first.run_id)
    assert child.data.tags["mlflow.parentRunId"] == begun.run_id
    assert child.data.params[RATE] == str(first.parameters[RATE])


def test_epochs_of_the_warm_up_count_nowhere(config, tmp_path):
    """They are the same in trials that differ in what unlabeled tracks do, and would hide which of those do well."""
    semi = ("unlabeled=b", "objective.warmup_epochs=1", "scheduler=none", "optimization.epochs=3")
    config = tune_config(f"output={config.output}", "trials=2", "sampler=random", *semi)
    endings = []
    with runs.record("tune", config) as run:
        search = Search(config, space_of(config), run, Notes())
        search._sampler.tell = lambda number, parameters, ending: endings.append((ending.state, ending.scores_mm))
        search.begin()
        for epoch, score_mm in ((1, 50.0), (2, 90.0)):
            search.epoch(1, epoch, score_mm, metrics(epoch))
        assert search.records[1].best_mm == 90.0
        search.stop(1)
        search.begin()
        for epoch, score_mm in ((1, 50.0), (2, 70.0), (3, 80.0)):
            search.epoch(2, epoch, score_mm, metrics(epoch))
        finish(search, 2, 70.0, 2)
    assert endings == [("stopped", {2: 90.0}), ("finished", {2: 70.0, 3: 80.0})]
    assert trial_records.read_trials(config.output)[1].counted_mm == {2: 70.0, 3: 80.0}


def test_a_tracking_server_that_is_away_stops_no_trial(config, mlflow_server, monkeypatch):
    proxy = Proxy(mlflow_server)
    for name, value in (("TRACKING_URI", proxy.address), ("HTTP_REQUEST_MAX_RETRIES", "0")):
        monkeypatch.setenv(f"MLFLOW_{name}", value)
    mlflow.set_tracking_uri(proxy.address)
    with runs.record("tune", config) as run:
        search = Search(config, space_of(config), run, Notes())
        search.begin()
        proxy.fault = lambda number, method, path: "reset"
        for number in (1, 2):
            if number == 2:
                assert search.begin().run_id == ""
            search.epoch(number, 1, 90.0, metrics(1))
            finish(search, number, 90.0)
        proxy.fault = lambda number, method, path: None
        report = search_report.write_report(search, "digest", run)
    first, second = (mlflow.get_run(record.run_id or run_of("002", run.run_id)) for record in search.records.values())
    for trial in (first, second):
        assert (trial.info.status, trial.data.metrics["train/loss_total"]) == ("FINISHED", 1.0)
        assert trial.data.tags["raylift.state"] == "finished"
    assert [trial["state"] for trial in report["trials"]] == ["finished"] * 2
    proxy.close()


def test_the_best_are_trained_again_with_other_seeds_and_the_report_says_what_that_shows(config):
    config = tune_config(f"output={config.output}", "trials=3", "sampler=random", "repeat_best=1", "seeds=2")
    space = space_of(config)
    with runs.record("tune", config) as run:
        job_of(config).manifest.write(config.output, run.run_id, "search.json")
        search = Search(config, space, run, Notes())
        for number, error_mm in ((1, 100.0), (2, 90.0), (3, 95.0)):
            search.begin()
            finish(search, number, error_mm)
        search.repeat_best()
        assert search.waiting == [4, 5, 6, 7]
        assert not survey(TuneJob(config, space, 3, "digest")).nothing_to_do
        repeats = [search.begin() for _ in range(3)]
        assert [(r.repeats, r.parameters["optimization.seed"]) for r in repeats] == [(2, 1), (1, 1), (2, 2)]
        assert repeats[0].parameters[RATE] == search.records[2].parameters[RATE]
        for number, error_mm in ((4, 92.0), (5, 101.0), (6, 91.0)):
            finish(search, number, error_mm)
        search.interrupt()
    with runs.record("tune", config, run.run_id) as run:
        search = Search(config, space, run, Notes())
        assert search.waiting == [], "all that the sampler proposed has ended"
        search.repeat_best()
        assert search.waiting == [7]
        assert search.begin().parameters["optimization.seed"] == 2
        finish(search, 7, 102.0)
        report = search_report.write_report(search, "digest", run)
    assert report["verdict"].startswith("Better than the config's own values by 10.0 ± 3.")
    assert [(r["trial"], r["seeds"], r["mean_mm"]) for r in report["repeats"]] == [
        ("002", [1, 2], 91.5),
        ("001", [1, 2], 101.5),
    ]
    assert report["best"]["trial"] == "006"
    assert Path(config.output, "best.pt").read_bytes() == b"lifter 6"
    assert "seed: 2" in Path(config.output, "best.yaml").read_text()
    assert survey(TuneJob(config, space, 3, "digest")).nothing_to_do


def test_the_test_is_scored_once_on_the_best_and_on_the_configs_own_values(config, monkeypatch):
    config = tune_config(f"output={config.output}", "trials=3", "sampler=random", "test_subjects=[S9]")
    space, scored = space_of(config), []

    def score(config, number):
        scored.append(number)
        assert Path(config.output, "trials", f"{number:03d}", "best.pt").exists()
        return {1: 120.0, 2: 117.0}[number]

    monkeypatch.setattr(search_report, "score_test", score)
    with runs.record("tune", config) as run:
        job_of(config).manifest.write(config.output, run.run_id, "search.json")
        search = Search(config, space, run, Notes())
        for number, error_mm in ((1, 100.0), (2, 90.0), (3, 95.0)):
            search.begin()
            finish(search, number, error_mm)
        report = search_report.write_report(search, "digest", run)
    assert scored == [1, 2]
    assert report["test"] == {"subjects": ["S9"], "error_mm": {"001": 120.0, "002": 117.0}}
    assert report["verdict"].startswith(
        "3.0 mm better than the config's own values on people not used to choose (S9), with"
    )
    assert survey(TuneJob(config, space, 3, "digest")).nothing_to_do
    untested = config.model_copy(update={"test_subjects": ("S8",)})
    assert not survey(TuneJob(untested, space, 3, "digest")).nothing_to_do


def test_only_the_best_trials_and_the_configs_own_values_keep_their_models(config):
    config = tune_config(f"output={config.output}", "trials=5", "sampler=random", "keep_models=2")
    with runs.record("tune", config) as run:
        search = Search(config, space_of(config), run, Notes())
        kept = []
        for number, error_mm in enumerate((100.0, 90.0, 95.0, 92.0, 99.0), start=1):
            search.begin()
            finish(search, number, error_mm)
            kept.append(models(search))
    assert kept == [
        *(["001"], ["001", "002"], ["001", "002", "003"], ["001", "002", "004"], ["001", "002", "004"]),
    ]


def run_of(trial: str, search_run: str) -> str:
    """The run of a trial of this test's search; the server also has those of other tests."""
    (run,) = mlflow.search_runs(
        filter_string=f"tags.`raylift.trial` = '{trial}' and tags.`mlflow.parentRunId` = '{search_run}'",
        output_format="list",
        search_all_experiments=True,
    )
    return run.info.run_id


def test_a_store_that_is_lost_is_why_the_search_ends(s3):
    config = tune_config(f"output=s3://{BUCKET}/search", "trials=2", "sampler=random")
    with runs.record("tune", config) as run:
        search = Search(config, space_of(config), run, Notes())
        search.begin()
        search.begin()
        assert search.failure is None
        s3.close()
        with pytest.raises(RunFailed, match="has failed for 1 s") as error:
            search.fail(1, "its process died", hopeless=False)
        assert search.failure is error.value
        search.interrupt()


def test_values_that_do_not_go_together_are_a_failed_trial(config):
    with runs.record("tune", config) as run:
        search = Search(config, space_of(config), run, Notes())
        search.records[1] = trial_records.TrialRecord(1, "none", {RATE: -1.0})
        record = search.begin()
    assert (record.state, record.hopeless) == ("failed", True)
    assert record.reason is not None
    assert "do not go together" in record.reason
