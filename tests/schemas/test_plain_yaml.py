"""YAML that would fill the memory is one line."""

import pytest
import yaml

from jobs.command_line.arguments import read_config
from schemas.configs.label import LabelConfig
from schemas.errors import UserError
from schemas.plain_yaml import load_plain

ALIASES = "a: &a [1, 1]\nb: [*a, *a]\n"


def test_plain_values_are_read():
    assert load_plain("{a: [1, x], b: {c: 1.5, d: null}}") == {"a": [1, "x"], "b": {"c": 1.5, "d": None}}


@pytest.mark.parametrize(
    "text",
    [
        ALIASES,
        "[" * 100_000,
        "a: !!python/object/apply:os.system [ls]",
        "{a: 1, a: 2}",
        "a: 1:30:00",
        "a: 1:59.5",
        f"a: {'9' * 5000}",
        "a: 2026-13-41",
    ],
)
def test_what_is_not_plain_is_refused(text):
    with pytest.raises(yaml.YAMLError):
        load_plain(text)


def test_a_repeated_key_of_a_recipe_is_named(tmp_path):
    (tmp_path / "recipe.yaml").write_text("output: a\ndecode: {max_side: 640}\noutput: b\n")
    with pytest.raises(UserError, match="is not YAML: output: is given twice, again in line 3; give it once"):
        read_config(LabelConfig, [str(tmp_path / "recipe.yaml"), "videos=a"])


def test_what_would_take_minutes_is_refused():
    with pytest.raises(yaml.YAMLError, match="has 300,001 characters, and at most 300,000 are read"):
        load_plain("a" * 300_001)
    assert load_plain("'1:30:00'") == "1:30:00"


@pytest.mark.parametrize("text", [ALIASES, "[" * 100_000])
def test_a_recipe_that_is_not_plain_is_one_line(text, tmp_path):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UserError, match=r"is not YAML: (aliases|nested)") as error:
        read_config(LabelConfig, [str(tmp_path / "recipe.yaml"), "videos=a", "output=b"])
    assert len(str(error.value)) < 1000
