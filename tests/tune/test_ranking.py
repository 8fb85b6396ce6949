"""Which trials are best, which are trained again, and what the report says of the gain."""

import pytest
from tune.search_samples import RATE, tune_config

from pipelines.tune.ranking import SEED, Ranking
from pipelines.tune.trial_records import State, TrialRecord
from pipelines.tune.verdict import gain, sentence

OWN = {RATE: 0.001}


def trial(number: int, error_mm: float, state: State = "finished", **changes) -> TrialRecord:
    values = {"parameters": OWN if number == 1 else {RATE: number / 100}, "scores_mm": {1: error_mm}, **changes}
    return TrialRecord(number, "run", state=state, **values)


def repeat(number: int, of: int, seed: int, error_mm: float, state: State = "finished") -> TrialRecord:
    return trial(number, error_mm, state, parameters={RATE: of / 100, SEED: seed}, repeats=of)


PROPOSED = [trial(1, 100), trial(2, 90), trial(3, 95), trial(4, 80, state="stopped"), trial(5, 91)]


def test_without_repeats_the_finished_trial_with_the_least_error_is_best():
    ranking = Ranking(tune_config(), OWN, PROPOSED)
    assert ranking.default == PROPOSED[0]
    assert ranking.winner == ranking.best == PROPOSED[1]
    assert (ranking.to_repeat, ranking.missing_repeats) == ([], [])


def test_the_best_and_the_configs_own_values_are_repeated_seed_by_seed():
    config = tune_config("repeat_best=2", "seeds=2", "optimization.seed=7")
    ranking = Ranking(config, OWN, PROPOSED)
    missing = [(record.number, seed) for record, seed in ranking.missing_repeats]
    assert missing == [(2, 8), (5, 8), (1, 8), (2, 9), (5, 9), (1, 9)]
    begun = [*PROPOSED, repeat(6, 2, 8, 99), repeat(7, 5, 8, 91, state="running")]
    ranking = Ranking(config, OWN, begun)
    assert [(record.number, seed) for record, seed in ranking.missing_repeats][:2] == [(1, 8), (2, 9)]
    assert ranking.interrupted_repeats == [begun[-1]]
    assert ranking.winner == PROPOSED[1], "none has all seeds yet"


def test_the_best_by_the_mean_of_its_repeats_wins_and_their_best_model_is_kept():
    repeats = [repeat(6, 2, 1, 99), repeat(7, 5, 1, 94), repeat(8, 2, 2, 97), repeat(9, 5, 2, 90)]
    ranking = Ranking(tune_config("repeat_best=2", "seeds=2"), OWN, [*PROPOSED, *repeats])
    assert ranking.winner == PROPOSED[4], "92 mm against 98"
    assert ranking.best == repeats[3]


def test_models_of_the_best_and_of_the_configs_own_values_are_kept():
    assert Ranking(tune_config("keep_models=2"), OWN, PROPOSED).kept == {1, 2, 5}


def test_how_long_nothing_better_was_found():
    assert Ranking(tune_config(), OWN, PROPOSED).trials_since_best == 3
    assert Ranking(tune_config(), OWN, PROPOSED[3:4]).trials_since_best == 0, (
        "without a finished trial there is no best"
    )


def test_the_gain_has_the_interval_of_welchs_test():
    # Two samples of three: the interval of a t distribution with 3.1 degrees of freedom.
    gained, uncertain = gain([105, 100, 107], [95, 97, 93])
    assert (gained, uncertain) == (pytest.approx(9), pytest.approx(7.41, abs=0.01))
    assert gain([100], [90]) == (10, None)
    assert gain([100, 100], [90, 90]) == (10, 0)


@pytest.mark.parametrize(
    ("default_mm", "best_mm", "beginning"),
    [
        ([105, 104, 106], [95, 96, 94], "Better than the config's own values by 10.0 ± "),
        ([95, 96, 94], [105, 104, 106], "Worse than the config's own values by -10.0 ± "),
        ([105, 85, 95], [104, 84, 94], "No difference from the config's own values that 3 seeds can show (1.0 ± "),
        ([100], [90], "10.0 mm better than the config's own values on the people, with one seed each, which can be"),
        ([100], [], "No trial is better than the config's own values on the people."),
        ([], [90], "No trial with the config's own values is finished, so there is nothing to compare with."),
    ],
)
def test_the_first_sentence_of_the_report(default_mm, best_mm, beginning):
    assert sentence(default_mm, best_mm, "the people").startswith(beginning)
