"""Which trials a scheduler stops, without Ray: a result after each epoch, as Ray Tune passes it on."""

from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from tune.search_samples import space_of, tune_config

from pipelines.tune.schedulers import clamp, make_scheduler
from pipelines.tune.trial import METRIC, TIME
from pipelines.tune.trial_records import TrialRecord
from schemas.configs.search_space import Dimension
from schemas.errors import UserError

EPOCHS = 9


def ended(number: int, error_mm: float, epochs: int = EPOCHS) -> TrialRecord:
    scores_mm = dict.fromkeys(range(1, epochs + 1), error_mm)
    return TrialRecord(number, "run", {}, "finished" if epochs == EPOCHS else "stopped", scores_mm)


def epochs_of(error_mm: float, before: list[TrialRecord], *fields: str) -> int:
    """How many epochs a trial gets whose error is the same after each of them."""
    config = tune_config(f"optimization.epochs={EPOCHS}", *fields)
    scheduler: Any = make_scheduler(config, space_of(config), before)
    trial = Trial("training", trial_id="099", stub=True)
    scheduler.on_trial_add(None, trial)
    for epoch in range(1, EPOCHS + 1):
        if scheduler.on_trial_result(None, trial, {TIME: epoch, METRIC: error_mm}) == TrialScheduler.STOP:
            return epoch
    return EPOCHS


BEFORE = [ended(1, 50), ended(2, 60), ended(3, 70), ended(4, 200, epochs=3)]


@pytest.mark.parametrize(
    ("fields", "stopped_after"),
    [
        (("scheduler=asha", "asha.grace_epochs=3"), 3),
        (("scheduler=median", "median.grace_epochs=4"), 4),
        (("scheduler=median", "median.grace_epochs=4", "median.min_trials=4"), EPOCHS),
        (("scheduler=none",), EPOCHS),
    ],
)
def test_a_bad_trial_is_stopped_as_those_before_an_interruption_tell(fields, stopped_after):
    assert epochs_of(150, BEFORE, *fields) == stopped_after
    assert epochs_of(40, BEFORE, *fields) == EPOCHS


def test_hyperband_stops_trials_of_its_brackets_after_different_numbers_of_epochs():
    before = [ended(number, 50 + number) for number in range(1, 20)]
    options = ("scheduler=hyperband", "hyperband.grace_epochs=1", "hyperband.reduction=3", "hyperband.brackets=3")
    stopped_after = [epochs_of(150, before, *options, f"seed={seed}") for seed in range(12)]
    assert set(stopped_after) == {1, 3, 9}
    assert stopped_after == [epochs_of(150, before, *options, f"seed={seed}") for seed in range(12)]


def test_what_a_scheduler_cannot_do_is_one_line():
    with pytest.raises(UserError, match=r"hyperband\.brackets=4: 9 epochs have room for 2 with hyperband\.grace_epo"):
        space_of(tune_config("scheduler=hyperband", "optimization.epochs=9", "hyperband.brackets=4"))
    with pytest.raises(UserError, match=r"median\.grace_epochs=3: trials cannot be compared before .* more than 5"):
        space_of(tune_config("unlabeled=b", "objective.warmup_epochs=5", "scheduler=median", "median.grace_epochs=3"))
    with pytest.raises(UserError, match=r"asha\.reduction=2: is an option of another scheduler than median"):
        tune_config("scheduler=median", "asha.reduction=2")


def test_changed_values_of_a_population_stay_within_bounds_and_on_steps():
    space = {"a": Dimension("uniform", (0.0, 1.0), 0.3), "b": Dimension("choice", (1, 2))}
    assert [round(clamp(space, "a", value), 6) for value in (-1, 0.3, 0.5, 2)] == [0, 0.3, 0.6, 0.9]
    assert clamp(space, "b", 2) == 2
