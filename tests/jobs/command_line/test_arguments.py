"""Command lines: recipes and field=value, merged in order; help that names every field."""

import pytest

from jobs.command_line.arguments import read_config
from jobs.command_line.help import help_text
from schemas.configs.label import LabelConfig
from schemas.errors import UserError


def test_fields_by_dotted_path():
    config = read_config(
        LabelConfig,
        ["videos=/a.mp4", "output=/out", "decode.max_side=320", "detector.tiles=3", "max_failed=null"],
    )
    assert (config.videos, config.decode.max_side, config.max_failed) == ("/a.mp4", 320, None)
    assert config.detector.options["tiles"] == 3


def test_values_that_yaml_would_twist_stay_what_was_typed():
    def read(*arguments):
        return read_config(LabelConfig, arguments, resolve=str)

    config = read("videos=clips/*.mp4", "output=2024")
    assert (config.videos, config.output) == ("clips/*.mp4", "2024")
    assert read("videos=*.mp4", "output=o").videos == "*.mp4"
    assert read("videos=[a.mp4, b.mp4]", "output=o").videos == ("a.mp4", "b.mp4")
    assert read("videos=s3://b/a=1/x.mp4", "output=o").videos == "s3://b/a=1/x.mp4"


def test_the_command_line_overrides_recipes_and_later_recipes_earlier_ones(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yml"
    first.write_text("videos: /a\noutput: /b\ndecode: {max_side: 100, timeout_s: 5}\n")
    second.write_text("decode: {max_side: 200}\n")
    config = read_config(LabelConfig, ["output=/c", str(first), str(second), "decode.max_side=300"])
    assert (config.videos, config.output) == ("/a", "/c")
    assert (config.decode.max_side, config.decode.timeout_s) == (300, 5)


def test_a_plugin_by_bare_name_keeps_its_options():
    config = read_config(LabelConfig, ["videos=a", "output=b", "detector=blazepose", "detector.tiles=2"])
    assert (config.detector.name, config.detector.options["tiles"]) == ("blazepose", 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["videos=a"], "output: is required"),
        (
            ["videos=a", "output=b", "maxfailed=3"],
            "maxfailed=3: there is no such field; did you mean max_failed?",
        ),
        (["videos=a", "output=b", "detector.tile=3"], "did you mean detector.tiles?"),
        (["videos=a", "output=b", "detector=blazpose"], "did you mean 'blazepose'?"),
        (["clips/"], "clips/: is neither field=value nor a recipe"),
        (["missing.yaml"], "missing.yaml: the recipe cannot be read: No such file"),
        (
            ["videos=a", "output=b", "decode.max_side=ten"],
            "decode.max_side=ten: input should be a valid integer",
        ),
    ],
)
def test_mistakes_name_field_value_and_fix(arguments, message):
    with pytest.raises(UserError) as error:
        read_config(LabelConfig, arguments)
    assert message in str(error.value)


def test_a_broken_recipe_is_one_line(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("a: [1,\nb: {")
    with pytest.raises(UserError, match=r"r.yaml: is not YAML") as error:
        read_config(LabelConfig, [str(recipe), "videos=a", "output=b"])
    assert len(str(error.value).splitlines()) == 1


def test_help_names_every_field_with_default_and_meaning():
    text = help_text("label", "Label videos.", LabelConfig)
    assert "videos=<str|[str, …]>  (required)" in text
    assert "decode.max_side=<int>  (default 640)" in text
    assert "detector.tiles=<int>" in text
    assert "max_failed=<int|null>  (default 0)" in text
    described = [line for line in text.splitlines()[4:] if not line.lstrip().endswith(":")]
    assert all(line.strip() for line in described), "every field says what it is"


def test_help_shows_the_options_of_the_plugin_that_is_named():
    shown = help_text("label", "s", LabelConfig)
    assert "detector.tiles=<int>" in shown
    assert "options of another one: --help detector=NAME;" in shown
    shown = help_text("label", "s", LabelConfig, ["--help", "detector=hrnet", "videos=a"])
    assert "detector.persons.every=<int>  (default 1)" in shown
    assert "detector.tiles" not in shown
    with pytest.raises(UserError, match="did you mean 'hrnet'"):
        help_text("label", "s", LabelConfig, ["detector=hrnt"])
