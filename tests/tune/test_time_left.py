"""The time left is that of trials as long as those before, side by side, and no longer than a budget."""

from tune.search_samples import tune_config

from pipelines.tune.ranking import Ranking
from pipelines.tune.time_left import time_left_s
from pipelines.tune.trial_records import State, TrialRecord


def trial(number: int, seconds: float, state: State = "finished", repeats: int | None = None) -> TrialRecord:
    return TrialRecord(number, "run", {"n": number}, state, {1: 50.0 + number}, seconds=seconds, repeats=repeats)


def left_s(records: list[TrialRecord], running_s: dict[int, float], *fields: str, trials: int = 10) -> float | None:
    config = tune_config(*fields)
    return time_left_s(config, Ranking(config, {"n": 1}, records), trials, running_s)


RUNNING = [trial(4, 0, "running"), trial(5, 0, "running")]
BEFORE = [trial(1, 100), trial(2, 40, "stopped"), trial(3, 40, "stopped")]


def test_nothing_is_known_before_the_first_trial_has_ended():
    assert left_s(RUNNING, {4: 9.0, 5: 9.0}) is None


def test_stopped_trials_count_as_long_as_they_took_and_trials_run_side_by_side():
    # Five of 60 s are still to begin; the running ones lack 60 - 20 and nothing.
    assert left_s([*BEFORE, *RUNNING], {4: 20.0, 5: 90.0}) == (5 * 60 + 40) / 2


def test_repeats_train_to_their_end():
    assert left_s(BEFORE, {}, "repeat_best=2", "seeds=2", trials=3) == 6 * 100
    begun = [*BEFORE, trial(4, 100, repeats=1), trial(5, 0, "running", repeats=1)]
    assert left_s(begun, {5: 30.0}, "repeat_best=2", "seeds=2", trials=3) == 4 * 100 + 70


def test_a_budget_of_trials_ends_it_earlier():
    assert left_s(BEFORE, {}, "budget_trials_h=0.1", trials=100) == 360 - 180
