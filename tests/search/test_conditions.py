"""Fields that are searched only beside certain values of others, such as the options of one lifter of several."""

from tune.search_samples import RATE, space_of, tune_config

from pipelines.search.conditions import combinations
from pipelines.search.samplers import Sampler
from pipelines.search.trial_values import own_values, trial_config

CHANNELS = "lifter.channels: {choice: [8, 16, 32]"
LIFTERS = (
    "{lifter.name: {choice: [temporal_conv, supermask]}, optimization.amsgrad: {choice: [true, false]}, "
    f"{CHANNELS}, when: {{lifter.name: temporal_conv}}}}, "
    "lifter.share: {uniform: [0.2, 0.8], step: 0.2, when: {lifter.name: supermask}}}"
)


def test_every_combination_is_counted_once_and_a_grid_tries_them_all():
    config = tune_config("sampler=grid", space=LIFTERS)
    space = space_of(config)
    assert combinations(space) == 2 * (3 + 4)
    grid = Sampler(config, space)
    tried = [grid.propose(number) for number in range(1, 15)]
    assert len({repr(sorted(values.items())) for values in tried}) == 14
    for values in tried:
        own = "lifter.channels" if values["lifter.name"] == "temporal_conv" else "lifter.share"
        assert values.keys() == {"lifter.name", "optimization.amsgrad", own}


def test_another_lifter_begins_with_its_own_options():
    config = tune_config(
        "lifter.causal=true", "lifter.channels=16", space=LIFTERS.replace(CHANNELS, "lifter.dropout: {choice: [0.1]")
    )
    assert "lifter.share" not in own_values(config, space_of(config))
    masked = trial_config(config, {"lifter.name": "supermask", "lifter.share": 0.4}, "o")
    assert masked.lifter.model_dump() == {"name": "supermask", "share": 0.4}
    plain = trial_config(config, {"lifter.name": "temporal_conv", "lifter.dropout": 0.1}, "o")
    assert (plain.lifter.options["causal"], plain.lifter.options["channels"]) == (True, 16)


def test_options_that_all_lifters_have_need_no_condition():
    space = "{lifter.name: {choice: [temporal_conv, residual_mlp]}, lifter.dropout: {uniform: [0, 0.5]}}"
    assert space_of(tune_config(space=space))["lifter.dropout"].when == {}


def test_conditions_may_depend_on_conditions():
    space = "{a.b: 1}".replace(
        "a.b: 1",
        "optimization.amsgrad: {choice: [true, false]}, "
        "objective.pose: {choice: [1, 2], when: {optimization.amsgrad: true}}, "
        f"{RATE}: {{choice: [0.1, 0.2], when: {{objective.pose: 2}}}}",
    )
    config = tune_config("sampler=grid", space=space)
    assert combinations(space_of(config)) == 1 + 1 + 2
