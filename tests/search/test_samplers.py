"""Where values come from: the same seed the same values, each combination once, and better ones as trials tell."""

import numpy as np
import pytest
from tune.search_samples import RATE, space_of, tune_config

from pipelines.search.samplers import make_sampler

SPACE = (
    "{optimization.learning_rate: {loguniform: [1e-4, 1e-2]}, lifter.channels: {randint: [8, 10]}, "
    "lifter.filter_widths: {choice: [[3, 3], [3, 3, 3]]}, objective.pose: {uniform: [1, 3]}}"
)


def sampler(name: str, *fields: str, begun: int = 0, space: str = SPACE):
    config = tune_config(f"sampler={name}", *fields, space=space)
    return make_sampler(config, space_of(config), begun)


@pytest.mark.parametrize("name", ["random", "tpe"])
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


def test_random_values_depend_on_the_trials_number_alone():
    assert sampler("random", begun=7).propose(8) == sampler("random").propose(8)


def test_a_grid_goes_through_each_combination():
    space = "{lifter.channels: {randint: [8, 9]}, optimization.amsgrad: {choice: [true, false]}}"
    grid = sampler("grid", space=space)
    combinations = [tuple(grid.propose(number).values()) for number in range(1, 5)]
    assert combinations == [(8, True), (8, False), (9, True), (9, False)]


def error_mm(values: dict) -> float:
    return 50 + 40 * abs(np.log10(values[RATE]) + 3) + (5 if values["lifter.filter_widths"] == [3, 3] else 0)


def test_tpe_learns_where_trials_did_well():
    learning = sampler("tpe", "seed=3")
    errors = []
    for number in range(1, 61):
        values = learning.propose(number)
        errors.append(error_mm(values))
        learning.tell(number, values, "finished", {1: errors[-1] + 5, 2: errors[-1]})
    assert np.mean(errors[40:]) < np.mean(errors[:10]) - 5


def test_tpe_goes_on_from_what_earlier_parts_of_the_search_found():
    before, drawn = sampler("tpe", "seed=3"), []
    for number in range(1, 31):
        drawn.append(before.propose(number))
    learning = sampler("tpe", "seed=3", begun=30)
    for number, values in enumerate(drawn, start=1):
        state = "failed" if number == 3 else "stopped" if number % 5 == 0 else "finished"
        learning.tell(number, values, state, {} if state == "failed" else {1: error_mm(values)})
    more = [learning.propose(number) for number in range(31, 51)]
    assert not any(values in drawn for values in more), "nothing is tried twice"
    assert np.mean([error_mm(v) for v in more]) < np.mean([error_mm(v) for v in drawn]) - 5
