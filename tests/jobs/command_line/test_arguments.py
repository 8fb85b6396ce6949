"""Command lines: recipes and field=value, merged in order; help that names every field."""

import pytest

from jobs.command_line.arguments import read_config
from jobs.command_line.help import help_text
from schemas.configs.label import LabelConfig
from schemas.configs.lift import LiftConfig
from schemas.configs.train import TrainConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.typed_text import Typed, read


def test_fields_by_dotted_path():
    config = read_config(
        LabelConfig,
        ["videos=/a.mp4", "output=/out", "decode.max_side=320", "detector.tiles=3", "max_failed=null"],
    )
    assert (config.videos, config.decode.max_side, config.max_failed) == ("/a.mp4", 320, None)
    assert config.detector.options["tiles"] == 3


# What YAML would take for something else, or refuse.
ODD_TEXT = (
    *("001", "0x10", "1.10", "1e3", "10:30", "2024-05-01", "true", "no", "null", "~", "run #1", "- x.mp4", "*.mp4"),
    *(
        "clips: take 1.mp4",
        "{a}",
        "[ab]*.[mo4p]",
        "[1] a.mp4",
        '"quoted"',
        "it's",
        "a=1/x.mp4",
        " x ",
        "a,b",
        "&a",
        "!x",
        "12345678901234567890",
    ),
)


@pytest.mark.parametrize("text", ODD_TEXT)
def test_a_text_field_takes_the_text_as_it_was_typed(text):
    config = read_config(LabelConfig, [f"videos={text}", f"output={text}"], resolve=str)
    assert (config.videos, config.output) == (text, text)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("[a.mp4, b.mp4]", ("a.mp4", "b.mp4")),
        ("[010,1.10, no , null]", ("010", "1.10", "no", "null")),
        ("[run #1, - x.mp4, clips: take 1.mp4]", ("run #1", "- x.mp4", "clips: take 1.mp4")),
        ("""["a, b", 'it''s, c', "d\\"]"]""", ("a, b", "it's, c", 'd"]')),
        ("[clips/[ab]*.mp4, c[1,2].mp4]", ("clips/[ab]*.mp4", "c[1,2].mp4")),
        ("[a,]", ("a",)),
    ],
)
def test_text_items_of_a_list_are_as_typed_or_quoted(text, items):
    assert read_config(LabelConfig, [f"videos={text}", "output=o"], resolve=str).videos == items


def test_a_list_may_be_empty():
    assert read(Typed("[]"), tuple[str, ...]) == []


def test_numbers_booleans_and_lists_are_read_where_a_field_holds_them():
    given = ("optimization.learning_rate=1e-4", "optimization.batch_size=010", "optimization.amsgrad=no")
    more = ("optimization.clip_gradient_norm=null", "lifter.filter_widths=[3,3]", "data.subjects=null")
    config = read_config(TrainConfig, ["labeled=a", "output=b", *given, *more])
    optimization = config.optimization
    assert (optimization.learning_rate, optimization.batch_size, optimization.amsgrad) == (1e-4, 10, False)
    assert (optimization.clip_gradient_norm, config.data.subjects) == (None, None)
    assert config.lifter.options["filter_widths"] == (3, 3)


def test_recipes_keep_the_spelling_of_text(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("labeled: 10:30\noutput: 001\ndata: {subjects: [01, 1.10, no, '2', null_a], downsample: 010}\n")
    config = read_config(TrainConfig, [str(recipe)], resolve=str)
    assert (config.labeled, config.output) == ("10:30", "001")
    assert config.data.subjects == ("01", "1.10", "no", "2", "null_a")
    assert config.data.downsample == 10


@pytest.mark.parametrize("text", ["output:", "output: null", "output: ~"])
def test_a_recipe_with_nothing_for_text_says_quote_it(tmp_path, text):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"{text}\nvideos: a\n")
    with pytest.raises(UserError, match="output: is empty or null, and no text; quote it"):
        read_config(LabelConfig, [str(recipe)])


def test_a_recipe_may_lie_in_a_folder_with_an_equals_sign(tmp_path, monkeypatch):
    (tmp_path / "a=1").mkdir()
    (tmp_path / "a=1" / "r.yaml").write_text("output: b\n")
    monkeypatch.chdir(tmp_path)
    for recipe in (f"{tmp_path}/a=1/r.yaml", "./a=1/r.yaml", "a=1/r.yaml"):
        assert read_config(LabelConfig, ["videos=v", recipe], resolve=str).output == "b"
    assert read_config(LabelConfig, ["videos=a=1/r.yaml", "output=b.yaml"], resolve=str).output == "b.yaml"
    with pytest.raises(UserError, match=r"did you mean output\?"):
        read_config(LabelConfig, ["videos=v", "outptu=b.yaml"])


def test_a_group_in_braces_and_its_fields_are_one(tmp_path):
    given = ["decode={max_side: 300, timeout_s: 5}", "decode.timeout_s=6", "detector={name: blazepose, tiles: 2}"]
    config = read_config(LabelConfig, ["videos=a", "output=b", *given])
    assert (config.decode.max_side, config.decode.timeout_s, config.detector.options["tiles"]) == (300, 6, 2)


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


@pytest.mark.parametrize("argument", ["finish", "--finish", "finish=true"])
def test_the_bare_name_of_a_yes_or_no_field_is_true(argument):
    assert read_config(TuneConfig, [argument, "tune_small", "labeled=a", "output=b"]).finish is True


def test_the_bare_name_of_another_field_is_no_value():
    with pytest.raises(UserError, match="trials: needs a value; give trials=…"):
        read_config(TuneConfig, ["trials", "tune_small", "labeled=a", "output=b"])


def test_the_name_of_a_yes_or_no_field_is_suggested():
    with pytest.raises(UserError, match=r"finsh: is neither .* did you mean finish\?"):
        read_config(TuneConfig, ["finsh", "tune_small", "labeled=a", "output=b"])


def test_a_file_without_its_field_names_the_fields(tmp_path):
    (clip := tmp_path / "clip.mp4").touch()
    with pytest.raises(UserError, match=r"clip.mp4: is a file or folder; say what it is for: .*tracks=…, video=…, "):
        read_config(LiftConfig, [str(clip), "output=b"])


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
        (["videos=a", "output=b", "decode.max_side=true"], "decode.max_side=true: input should be a valid integer"),
        (["videos=a", "output=b", "decode.timeout_s=inf"], "decode.timeout_s=inf: input should be a finite number"),
        (["videos=[a,,b]", "output=b"], "videos.1: is empty or null, and no text; quote it"),
        (["x=1/missing.yaml"], "x=1/missing.yaml: there is no such field"),
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


def test_a_list_of_mappings_is_read_whole():
    points = "[{optimization.learning_rate: 1e-3, lifter.filter_widths: [3, 3]}, {optimization.amsgrad: no}]"
    space = "search_space.optimization.learning_rate={loguniform: [1e-4, 1e-2]}"
    config = read_config(TuneConfig, ["labeled=a", "output=b", space, f"points={points}"], resolve=str)
    assert isinstance(config.points, tuple)
    first, second = config.points
    assert isinstance(first, dict)
    assert (float(first["optimization.learning_rate"]), first["lifter.filter_widths"]) == (1e-3, [3, 3])
    assert second == {"optimization.amsgrad": False}


def test_a_plug_in_without_options_is_one_line():
    with pytest.raises(UserError, match=r"^detector.name: plug-in 'json:JSONDecoder' has no class Config with its opt"):
        read_config(LabelConfig, ["videos=a.mp4", "output=o", "detector=json:JSONDecoder"])
