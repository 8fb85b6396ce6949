"""Where values come from: the same seed the same values, none twice, and better ones as trials tell."""

import numpy as np
import pytest
from tune.search_samples import RATE, space_of, tune_config

from pipelines.search.optuna_study import Ending
from pipelines.search.samplers import Sampler
from pipelines.search.trial_values import trial_count
from schemas.configs.samplers import SAMPLERS
from schemas.errors import UserError

SPACE = (
    "{optimization.learning_rate: {loguniform: [1e-4, 1e-2]}, lifter.channels: {randint: [8, 10]}, "
    "lifter.filter_widths: {choice: [[3, 3], [3, 3, 3]]}, objective.pose: {uniform: [1, 3]}}"
)


def sampler(name: str, *fields: str, space: str = SPACE):
    config = tune_config(f"sampler={name}", *fields, space=space)
    return Sampler(config, space_of(config))


def finished(error_mm: float) -> Ending:
    return Ending("finished", {1: error_mm})


def test_an_unknown_sampler_is_answered_with_those_of_the_table():
    with pytest.raises(UserError) as error:
        tune_config("sampler=bayes")
    assert all(f"'{name}'" in str(error.value) for name in SAMPLERS)


def test_a_normal_distribution_takes_two_numbers():
    with pytest.raises(UserError, match=r"sampler=cmaes: takes at least 2 searched numbers .* has 1; give another"):
        sampler("cmaes", space=f"{{{RATE}: {{loguniform: [1e-4, 1e-2]}}, objective.pose: {{choice: [1, 2]}}}}")


@pytest.mark.parametrize("name", ["random", "tpe", "qmc", "cmaes", "nsga2"])
def test_values_lie_in_the_space_and_follow_from_the_seed(name):
    first, again, other = (sampler(name, f"seed={seed}") for seed in (1, 1, 2))
    drawn = [first.propose(number) for number in range(1, 40)]
    assert drawn == [again.propose(number) for number in range(1, 40)]
    assert drawn[0] != other.propose(1)
    assert {values["lifter.channels"] for values in drawn} == {8, 9, 10}, "both ends"
    assert {str(values["lifter.filter_widths"]) for values in drawn} == {"[3, 3]", "[3, 3, 3]"}
    rates = np.array([values[RATE] for values in drawn])
    assert 1e-4 <= rates.min() < 4e-4 < 3e-3 < rates.max() <= 1e-2, "as many small ones as large ones"
    assert all(1 <= values["objective.pose"] <= 3 for values in drawn)


@pytest.mark.parametrize("name", ["random", "tpe", "grid", "qmc", "cmaes", "nsga2"])
def test_a_search_that_goes_on_chooses_as_one_without_interruption(name):
    space = (
        "{lifter.channels: {lograndint: [8, 40]}, lifter.filter_widths: {choice: [[3, 3], [3, 3, 3]]}, "
        "objective.pose: {uniform: [1, 4], step: 0.5}}"
    )
    undisturbed, results = sampler(name, space=space), []
    for number in range(1, 40):
        values = undisturbed.propose(number)
        results.append((number, values, finished(values["lifter.channels"])))
        undisturbed.tell(*results[-1])
    later = sampler(name, space=space)
    for result in results:
        later.tell(*result)
    assert later.propose(40) == undisturbed.propose(40)
    assert all(values["objective.pose"] % 0.5 == 0 for _, values, _ in results), "on its steps"


SMALL = "{lifter.channels: {randint: [8, 9]}, objective.pose: {uniform: [1, 2], step: 1}}"


@pytest.mark.parametrize("name", [*SAMPLERS])
def test_no_values_are_tried_twice_and_a_finite_space_ends(name):
    config = tune_config(f"sampler={name}", space=SMALL)
    assert trial_count(config, space_of(config)) == 4
    finite = sampler(name, space=SMALL)
    combinations = []
    for number in range(1, 5):
        values = finite.propose(number)
        combinations.append((values["lifter.channels"], values["objective.pose"]))
        if number % 2:
            finite.tell(number, values, finished(1.0))
    assert sorted(combinations) == [(8, 1), (8, 2), (9, 1), (9, 2)]


def test_values_that_an_earlier_part_of_the_search_tried_are_not_tried_again():
    grid = sampler("grid", space=SMALL)
    grid.tell(1, {"lifter.channels": 8, "objective.pose": 1.0}, finished(1.0))
    grid.tell(2, {"objective.pose": 2.0, "lifter.channels": 9}, Ending("failed"))
    grid.resume(3, {"lifter.channels": 9, "objective.pose": 1.0})
    assert grid.propose(4) == {"lifter.channels": 8, "objective.pose": 2.0}
    grid.tell(3, {"lifter.channels": 9, "objective.pose": 1.0}, finished(2.0))


def test_members_of_a_population_may_begin_alike():
    config = tune_config("sampler=random", "scheduler=pbt", "trials=6", space=f"{{{RATE}: {{choice: [1, 2]}}}}")
    space = space_of(config)
    assert trial_count(config, space) == 6
    population = Sampler(config, space)
    assert {population.propose(number)[RATE] for number in range(1, 7)} == {1.0, 2.0}


def test_the_first_trial_is_the_config_itself(tmp_path):
    recipe = tmp_path / "own.yaml"
    own = "lifter: {channels: 9, filter_widths: [3, 3, 3]}\noptimization: {learning_rate: 0.002}\n"
    for name in ("tpe", "random", "qmc", "nsga2"):
        recipe.write_text(f"{own}objective: {{pose: 1.5}}\n")
        assert sampler(name, str(recipe)).propose(1) == {
            **{RATE: 0.002, "lifter.channels": 9, "lifter.filter_widths": [3, 3, 3], "objective.pose": 1.5},
        }
        recipe.write_text(f"{own}objective: {{pose: 4}}\n")
        assert sampler(name, str(recipe)).propose(1)[RATE] != 0.002, "pose=4 lies outside the search space"


def error_mm(values: dict) -> float:
    return 50 + 40 * abs(np.log10(values[RATE]) + 3) + (5 if values["lifter.filter_widths"] == [3, 3] else 0)


@pytest.mark.parametrize("name", ["tpe", "cmaes", "nsga2"])
def test_samplers_learn_where_trials_did_well(name):
    learning = sampler(name, "seed=3")
    errors = []
    for number in range(1, 61):
        values = learning.propose(number)
        errors.append(error_mm(values))
        learning.tell(number, values, Ending("finished", {1: errors[-1] + 5, 2: errors[-1]}))
    assert np.mean(errors[40:]) < np.mean(errors[:10]) - 5


def test_tpe_goes_on_from_what_earlier_parts_of_the_search_found():
    before, drawn = sampler("tpe", "seed=3"), []
    for number in range(1, 31):
        drawn.append(before.propose(number))
    learning = sampler("tpe", "seed=3")
    for number, values in enumerate(drawn, start=1):
        state = "failed" if number == 3 else "stopped" if number % 5 == 0 else "finished"
        learning.tell(number, values, Ending(state, {} if state == "failed" else {1: error_mm(values)}))
    more = [learning.propose(number) for number in range(31, 51)]
    assert not any(values in drawn for values in more), "nothing is tried twice"
    assert np.mean([error_mm(v) for v in more]) < np.mean([error_mm(v) for v in drawn]) - 5


def test_tpe_keeps_away_from_values_that_cannot_be_trained():
    space = "{lifter.channels: {randint: [8, 1024]}}"
    learning, proposed = sampler("tpe", "seed=1", space=space), []
    for number in range(1, 61):
        values = learning.propose(number)
        proposed.append(values["lifter.channels"])
        too_large = proposed[-1] > 500
        learning.tell(number, values, Ending("infeasible") if too_large else finished(1000 - proposed[-1]))
    assert sum(channels > 500 for channels in proposed[:10]) > 2
    assert np.mean([channels > 500 for channels in proposed[30:]]) < 0.5
