"""Building a config reports every mistake at once, with path, value, rule and the nearest right name."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from schemas.errors import UserError
from schemas.job_config import JobConfig, PluginConfig, PluginTable, build, flatten, paths, plugin_paths


class Inner(JobConfig):
    max_side: int = Field(default=640, ge=64)
    """Longer side, px."""


class Options(JobConfig):
    tiles: int = 1
    """Tiles per side."""


class Example(JobConfig):
    videos: str
    """Where the videos are."""
    decode: Inner = Inner()
    """How videos are decoded."""
    detector: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="one")
    """Which detector to use."""


def plugins(table, name):
    if name != "one":
        raise UserError(f"unknown plug-in {name!r}")
    return Options


def test_plugin_defaults_are_filled_in():
    config = build(Example, {"videos": "a"}, plugins)
    assert (config.detector.name, config.detector.options) == ("one", {"tiles": 1})
    assert flatten(config.model_dump()) == {
        "videos": "a",
        "decode.max_side": 640,
        "detector.name": "one",
        "detector.tiles": 1,
    }


def test_a_plugin_may_be_given_by_its_bare_name():
    assert build(Example, {"videos": "a", "detector": "one"}, plugins).detector.name == "one"


def test_all_mistakes_are_reported_at_once():
    values = {"decode": {"maxside": 10, "max_side": 3}, "detector": {"tile": 2}, "colour": "red"}
    with pytest.raises(UserError) as error:
        build(Example, values, plugins)
    assert str(error.value).splitlines() == [
        "videos: is required; give videos=…",
        "decode.max_side=3: input should be greater than or equal to 64",
        "decode.maxside=10: there is no such field; did you mean decode.max_side?",
        "colour=red: there is no such field; --help lists the fields",
        "detector.tile=2: there is no such field; did you mean detector.tiles?",
    ]


def test_a_value_of_none_of_the_types_of_a_union_is_one_mistake():
    class Length(JobConfig):
        unit: Literal["m", "cm"] | Annotated[float, Field(gt=0)] = "m"
        """Unit, or how many metres it has."""

    with pytest.raises(UserError) as error:
        build(Length, {"unit": "km"}, plugins)
    assert str(error.value) == (
        "unit=km: input should be 'm' or 'cm', or input should be a valid number, unable to parse string as a number"
    )


class Several(JobConfig):
    points: str | tuple[dict[str, int], ...] | None = None
    """A file, or groups of values."""


def test_an_item_of_a_list_is_one_mistake():
    with pytest.raises(UserError) as error:
        build(Several, {"points": [{"a": 1}, 2]}, plugins)
    assert str(error.value) == "points: 2: is no group of fields; give points=[{NAME: …}]"


def test_an_unknown_plugin_is_one_mistake_among_the_others():
    with pytest.raises(UserError, match=r"videos: is required(.|\n)*detector.name: unknown plug-in 'two'"):
        build(Example, {"detector": {"name": "two"}}, plugins)


def test_paths_name_every_leaf_in_order():
    assert [path for path, _ in paths(Example)] == ["videos", "decode.max_side", "detector"]


def test_configs_are_frozen():
    config = build(Example, {"videos": "a"}, plugins)
    with pytest.raises(ValueError, match="frozen"):
        config.videos = "b"


class Wrapping(JobConfig):
    inner: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="one")
    """The detector within."""


def wrapping(table, name):
    return Wrapping if name == "around" else plugins(table, name)


def test_plugins_within_plugins_are_checked_and_filled_in():
    values = {"videos": "a", "detector": {"name": "around", "inner": {"name": "around", "inner": {"tiles": 3}}}}
    innermost = {"name": "one", "tiles": 3}
    assert build(Example, values, wrapping).detector.options == {"inner": {"name": "around", "inner": innermost}}
    values["detector"]["inner"]["inner"] = {"tile": 3}
    with pytest.raises(
        UserError, match=r"^detector\.inner\.inner\.tile=3: .* did you mean detector\.inner\.inner\.tiles"
    ):
        build(Example, values, wrapping)
    values["detector"]["inner"] = "two"
    with pytest.raises(UserError, match=r"detector\.inner\.name: unknown plug-in 'two'"):
        build(Example, values, wrapping)


def test_paths_of_plugins_within_plugins():
    assert list(plugin_paths(wrapping, "detectors", {"name": "around"}, "detector.")) == ["detector.inner.tiles"]
    chosen = {"name": "around", "inner": {"name": "around"}}
    assert list(plugin_paths(wrapping, "detectors", chosen, "detector.")) == ["detector.inner.inner.tiles"]


class Lengths(JobConfig):
    stature_m: float | None = Field(default=None, ge=0.4, le=2.6)
    """Standing height, m."""
    wait_s: float = Field(default=1.0, lt=60)
    """Longest wait, s."""
    sizes: int = Field(default=1, le=4)
    """A number."""


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("stature_m", 170, "it is in metres: stature_m=1.7"),
        ("stature_m", 1700, "it is in metres: stature_m=1.7"),
        ("stature_m", 1e9, None),
        ("stature_m", 0.1, None),
        ("wait_s", 500, "it is in seconds: wait_s=0.5"),
        ("sizes", 100, None),
    ],
)
def test_a_value_in_a_smaller_unit_is_answered_with_the_fields_own(field, value, hint):
    with pytest.raises(UserError) as refused:
        build(Lengths, {field: value}, plugins)
    assert str(refused.value).partition("; it is in ")[2] == (hint or "").removeprefix("it is in ")
