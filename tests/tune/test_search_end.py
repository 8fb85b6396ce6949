"""What ends a search before all trials are done: budgets, patience, and the user."""

import time
from types import SimpleNamespace

import pytest
from tune.search_samples import Notes, finish, job_of, space_of, tune_config

from pipelines.mlflow_runs import runs
from pipelines.tune import search_report
from pipelines.tune.run import survey
from pipelines.tune.search import Search


@pytest.fixture
def config(tmp_path):
    return tune_config(f"output={tmp_path}/out", "trials=5", "sampler=random", "optimization.epochs=2")


def test_a_budget_of_time_in_trials_counts_those_side_by_side_and_those_of_earlier_commands(config, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("pipelines.tune.search.time", SimpleNamespace(monotonic=lambda: clock[0]))
    config = config.model_copy(update={"budget_trials_h": 1.0})
    with runs.record("tune", config) as run:
        job_of(config).manifest.write(config.output, run.run_id, "search.json")
        search = Search(config, space_of(config), run, Notes())
        search.begin()
        search.begin()
        clock[0] += 1700
        assert (search.out_of_time, search.waiting) == (False, [3, 4, 5])
        search.interrupt()
        later = Search(config, space_of(config), run, Notes())
        assert later.time_in_trials_s == 3400
        later.begin()
        clock[0] += 300
        assert (later.out_of_time, later.waiting) == (True, [])


def test_a_search_ends_when_nothing_better_is_found_and_when_it_is_told_to(config):
    patient = config.model_copy(update={"patience": 2})
    with runs.record("tune", config) as run:
        search = Search(patient, space_of(config), run, Notes())
        for number, error_mm in ((1, 90.0), (2, 95.0), (3, 94.0)):
            assert search.waiting
            search.begin()
            finish(search, number, error_mm)
        assert search.waiting == []
        assert Search(config, space_of(config), run, Notes()).waiting == [4, 5]
        concluded = config.model_copy(update={"finish": True})
        assert Search(concluded, space_of(config), run, Notes()).waiting == []
        job_of(config).manifest.write(config.output, run.run_id, "search.json")
        assert not survey(job_of(concluded)).nothing_to_do
        told = search_report.write_report(Search(concluded, space_of(config), run, Notes()), "digest", run)
    assert told["best"]["trial"] == "001"
    assert (
        told["verdict"]
        == "No trial is better than the config's own values on the people that trials were compared by (S2)."
    )
    assert survey(job_of(concluded)).nothing_to_do
    assert not survey(job_of(config)).nothing_to_do


def test_a_search_that_is_out_of_time_leaves_what_runs_for_the_next_command(config, monkeypatch):
    limited = config.model_copy(update={"budget": "1.5h"})
    with runs.record("tune", config) as run:
        search = Search(limited, space_of(config), run, Notes())
        search.begin()
        now = time.monotonic()
        monkeypatch.setattr("pipelines.tune.search.time", SimpleNamespace(monotonic=lambda: now + 5000))
        assert not search.out_of_time
        monkeypatch.setattr("pipelines.tune.search.time", SimpleNamespace(monotonic=lambda: now + 5500))
        assert (search.out_of_time, search.waiting) == (True, [])
        search.interrupt()
        told = search_report.write_report(search, "digest", run)
        monkeypatch.undo()
        assert search_report.why_none(config, told) == (
            "none of 1 trials is finished, 1 have not ended: run the same command again"
        )
        assert Search(limited, space_of(config), run, Notes()).waiting == [1, 2, 3, 4, 5]
