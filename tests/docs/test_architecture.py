"""The picture and the table of docs/architecture.md are what the imports say."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def drawing():
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_shows_the_imports():
    draw = drawing()
    arrows = {f"{room} {other}" for room, others in draw.without_detours(draw.rooms()).items() for other in others}
    picture = draw.PICTURE.read_text(encoding="utf-8")
    assert set(re.findall(r'data-arrow="([\w ]+)"', picture)) == arrows, "run `python docs/draw_architecture.py`"
    assert set(re.findall(r">(\w+)</text>", picture)) == set(draw.rooms()), "run `python docs/draw_architecture.py`"


def test_the_table_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## Rooms")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == sorted(drawing().rooms())


def test_the_files_that_the_page_names_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:tests|docs|jobs|pipelines|schemas)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
