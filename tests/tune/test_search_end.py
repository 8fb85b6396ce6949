"""What ends a search before all trials are done: budgets, patience, and the user."""

import time
from collections.abc import Callable
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


def set_clock(monkeypatch: pytest.MonkeyPatch, monotonic: Callable[[], float]) -> None:
    for module in ("search", "budgets"):
        monkeypatch.setattr(f"pipelines.tune.{module}.time", SimpleNamespace(monotonic=monotonic))


def test_a_budget_of_time_in_trials_counts_those_side_by_side_and_those_of_earlier_commands(config, monkeypatch):
    clock = [1000.0]
    set_clock(monkeypatch, lambda: clock[0])
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
        report = search_report.write_report(Search(concluded, space_of(config), run, Notes()), "digest", run)
    assert report["best"]["trial"] == "001"
    assert (
        report["verdict"]
        == "No trial is better than the config's own values on the people that trials were compared by (S2)."
    )
    assert survey(job_of(concluded)).nothing_to_do
    assert not survey(job_of(config)).nothing_to_do


@pytest.mark.parametrize(
    ("repeats", "out_of_time_after_s"), [("repeat_best=1", 3600 - 3 * 600), ("repeat_best=0", 3600)]
)
def test_a_budget_leaves_time_for_the_repeats_of_the_best_trials(config, monkeypatch, repeats, out_of_time_after_s):
    clock = [1000.0]
    set_clock(monkeypatch, lambda: clock[0])
    config = tune_config(f"output={config.output}", "trials=50", "budget=1h", "seeds=3", repeats, "sampler=random")
    with runs.record("tune", config) as run:
        search = Search(config, space_of(config), run, notes := Notes())
        search.begin()  # the config's own values, which are the best ones, so that there are three repeats of them
        clock[0] += 600
        finish(search, 1, 90.0)
        clock[0] = 1000.0 + out_of_time_after_s
        assert search.waiting
        clock[0] += 1
        assert search.waiting == []
        search.begin()
        search.interrupt()
        assert notes.events[-1] == ("interrupted", 2), "it is not counted as running beside the repeats"
        search.repeat_best()
        assert len(search.waiting) == (3 if repeats == "repeat_best=1" else 0)


def test_a_search_that_is_out_of_time_leaves_what_runs_for_the_next_command(config, monkeypatch):
    limited = config.model_copy(update={"budget": "1.5h"})
    with runs.record("tune", config) as run:
        search = Search(limited, space_of(config), run, Notes())
        search.begin()
        now = time.monotonic()
        set_clock(monkeypatch, lambda: now + 5000)
        assert not search.out_of_time
        set_clock(monkeypatch, lambda: now + 5500)
        assert (search.out_of_time, search.waiting) == (True, [])
        search.interrupt()
        report = search_report.write_report(search, "digest", run)
        monkeypatch.undo()
        assert search_report.why_none(config, report) == (
            "no trial of 1 is finished, 1 not yet ended: run the same command again"
        )
        assert Search(limited, space_of(config), run, Notes()).waiting == [1, 2, 3, 4, 5]
