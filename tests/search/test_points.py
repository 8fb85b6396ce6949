"""Points: values to try first, from a list or a file, and every mistake before anything starts."""

import pytest
from tune.search_samples import RATE, space_of, tune_config

from pipelines.search.points import read_points
from pipelines.search.samplers import Beginning, Sampler
from schemas.errors import UserError

SPACE = "{optimization.learning_rate: {loguniform: [1e-4, 1e-2]}, optimization.batch_size: {choice: [64, 1024]}}"


def points(*fields):
    config = tune_config(*fields, space=SPACE)
    return read_points(config, space_of(config))


def test_a_list_and_a_file_may_name_some_fields_nested_or_dotted(tmp_path):
    given = "[{optimization.learning_rate: 0.01}, {optimization: {learning_rate: 2e-3, batch_size: 64}}]"
    wanted = [
        {RATE: 0.01, "optimization.batch_size": 1024},
        {RATE: 0.002, "optimization.batch_size": 64},
    ]
    assert points(f"points={given}") == wanted
    (tmp_path / "points.yaml").write_text(given)
    assert points(f"points={tmp_path}/points.yaml") == wanted
    assert points() == []


def test_points_come_after_the_configs_own_values_and_are_not_tried_twice():
    config = tune_config(
        "points=[{optimization.learning_rate: 0.01}, {optimization.learning_rate: 0.002}]", space=SPACE
    )
    space = space_of(config)
    beginning = Beginning(read_points(config, space))
    first = Sampler(config, space, beginning)
    assert [first.propose(number)[RATE] for number in (1, 2, 3)] == [0.001, 0.01, 0.002]
    later = Sampler(config, space, beginning)
    later.resume(1, {RATE: 0.001, "optimization.batch_size": 1024})
    later.resume(2, {RATE: 0.01, "optimization.batch_size": 1024})
    assert later.propose(3)[RATE] == 0.002


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[{optimization.learning_rate: 1}]", r"point 1: optimization.learning_rate=1.0 lies outside the search space"),
        ("[{}, {lifter.channels: 8}]", r"point 2: lifter.channels is not searched; searched are optimization.learn"),
        ("[{optimization.learning_rate: true}]", r"point 1: optimization.learning_rate=true lies outside"),
        (f"[{{optimization.learning_rate: 1{'0' * 400}}}]", r"point 1: optimization.learning_rate=1.* lies outside"),
        (
            "[{optimization.learning_rate: 1e-3, optimization: {learning_rate: 2e-3}}]",
            r"point 1: optimization.learning_rate is given twice; give it once",
        ),
        ("missing.yaml", r"points=.*missing.yaml: cannot be read: No such file"),
    ],
)
def test_a_wrong_point_is_one_line(given, message):
    with pytest.raises(UserError, match=message) as error:
        points(f"points={given}")
    assert len(str(error.value).splitlines()) == 1


def test_a_point_names_what_is_searched_beside_its_own_choices():
    space = (
        "{lifter.name: {choice: [temporal_conv, supermask]}, lifter.share: {uniform: [0.2, 0.8], when: "
        "{lifter.name: supermask}}, lifter.dropout: {uniform: [0, 0.5], when: {lifter.name: temporal_conv}}}"
    )

    def read(point: str):
        config = tune_config(f"points=[{point}]", space=space)
        return read_points(config, space_of(config))

    masked = {"lifter.name": "supermask", "lifter.share": 0.5}
    assert read("{lifter.name: supermask, lifter.share: 0.5}") == [masked]
    assert read("{lifter.dropout: 0.1}") == [{"lifter.name": "temporal_conv", "lifter.dropout": 0.1}]
    with pytest.raises(UserError, match=r"point 1: gives no lifter\.share, of which the config has no value"):
        read("{lifter.name: supermask}")
    with pytest.raises(UserError, match=r"point 1: lifter\.share is searched only beside lifter\.name=supermask"):
        read("{lifter.share: 0.5}")


def test_a_file_without_a_list_is_refused(tmp_path):
    (tmp_path / "points.yaml").write_text("a: 1\n")
    with pytest.raises(UserError, match="holds no YAML list of points"):
        points(f"points={tmp_path}/points.yaml")


def test_a_point_must_give_what_the_config_has_outside_the_space():
    config = tune_config("points=[{}]", space="{optimization.batch_size: {choice: [64]}}")
    with pytest.raises(UserError, match=r"point 1: gives no optimization.batch_size, and the config's own value, 1024"):
        read_points(config, space_of(config))


@pytest.mark.parametrize("dimension", ["{randint: [16, 2048]}", "{lograndint: [16, 2048]}", "{choice: [64, 1024]}"])
@pytest.mark.parametrize("typed", ["64", "64.0", "6.4e1"])
def test_whole_numbers_are_whole_however_they_are_written(dimension, typed):
    config = tune_config(
        f"points=[{{optimization.batch_size: {typed}}}]", space=f"{{optimization.batch_size: {dimension}}}"
    )
    (point,) = read_points(config, space_of(config))
    assert repr(point["optimization.batch_size"]) == "64"


@pytest.mark.parametrize("dimension", ["{randint: [16, 2048]}", "{lograndint: [16, 2048]}"])
def test_a_whole_number_has_no_fraction(dimension, tmp_path):
    (tmp_path / "points.yaml").write_text("[{optimization.batch_size: 64.5}]")
    space = f"{{optimization.batch_size: {dimension}}}"
    config = tune_config(f"points={tmp_path}/points.yaml", space=space)
    with pytest.raises(UserError, match=r"point 1: optimization\.batch_size=64\.5 lies outside the search space"):
        read_points(config, space_of(config))
