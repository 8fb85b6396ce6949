"""The arithmetic of docs/scale.md is what its own code computes, of this project's defaults."""

import re
import textwrap

from manifests import ROOT

from schemas.configs.label import DecodeConfig, WorkersConfig

TEXT = (ROOT / "docs" / "scale.md").read_text()
CODE, PRINTED = re.findall(r"```python\n(.*?)```\n\n((?:    [^\n]*\n)+)", TEXT, re.DOTALL)[0]


def test_the_block_prints_what_stands_below_it(capsys):
    exec(compile(CODE, "docs/scale.md", "exec"), {})  # our own text
    assert capsys.readouterr().out == textwrap.dedent(PRINTED)


def test_the_page_calculates_with_the_default_settings():
    values = {}
    exec(compile(CODE.partition("frames =")[0], "docs/scale.md", "exec"), values)
    assert values["width"] == DecodeConfig().max_side
    assert values["clip_mb"] == DecodeConfig().clip_mb
    assert values["clips_per_file"] == WorkersConfig().clips_per_file


def test_the_numbers_of_the_page_follow_from_the_formulas():
    per_clip = int(32e6 / (640 * 360 * 3))
    hours = 1e6 * per_clip / 30 / 3600
    assert f"10⁶ clips are {hours:.0f} hours" in TEXT
    assert f"{round(1e6 / hours, -1):,.0f} of them" in TEXT
