"""The picture of a lineage: every thing once, from left to right, no box over another."""

import itertools
import xml.etree.ElementTree as ET

import pytest

from pipelines.lineage.drawing import draw
from pipelines.lineage.trace import Lineage, Node

SVG = "{http://www.w3.org/2000/svg}"
FILMS = Node("videos", "/films/<session 1>/*.mp4")
LABELED = Node("tracks", "/out/labels/tracks", "unlabeled", children=(Node("run", "label", "", "id-1", (FILMS,)),))
MADE = Node("tracks", "/out/mocap/tracks", "training", children=(Node("run", "import", "", "id-2", (LABELED,)),))
TRAINING = Node("run", "train", "", "id-3", children=(MADE, Node("tracks", "/out/labels/tracks", "unlabeled")))


def boxes(svg):
    """(left, top, width, height) of each thing, by what the mouse shows."""
    by_title = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        box = group.find(f"{SVG}rect")
        assert box is not None
        by_title[group.findtext(f"{SVG}title")] = tuple(
            float(box.get(name, "")) for name in ("x", "y", "width", "height")
        )
    return by_title


def overlap(one, other):
    return all(one[at] < other[at] + other[at + 2] and other[at] < one[at] + one[at + 2] for at in (0, 1))


@pytest.fixture
def lineage():
    made = [Node("poses", f"/out/poses_{number}", run_id=f"id-p{number}") for number in range(30)]
    fine = Node("run", "train fine", "began with it", "id-4", (Node("model", "models:/lifter/3"),))
    return Lineage("models:/lifter/2", "model", (TRAINING,), (*made, Node("scores", "test", "MPJPE 82.9 mm"), fine))


def test_things_stand_right_of_what_they_were_made_of_and_none_hides_another(lineage):
    placed = boxes(draw(lineage))
    chain = ["/films/<session 1>/*.mp4", "label\nrun id-1", "/out/labels/tracks\nunlabeled", "import\nrun id-2"]
    chain += ["/out/mocap/tracks\ntraining", "train\nrun id-3", "models:/lifter/2", "test\nMPJPE 82.9 mm"]
    lefts = [placed[name][0] for name in chain]
    assert lefts == sorted(set(lefts)), "the labels' tracks are two things' origin, and drawn once"
    assert not [pair for pair in itertools.combinations(placed.values(), 2) if overlap(*pair)]
    tall = ET.fromstring(draw(lineage)).get("height")
    assert max(top + height for _, top, _, height in placed.values()) < float(tall or 0)


def test_many_of_a_kind_are_counted(lineage):
    placed = boxes(draw(lineage))
    assert len([name for name in placed if "/out/poses_" in name]) == 10
    assert "20 more of models:/lifter/2" in placed
    assert "models:/lifter/3" in placed, "what goes on is always shown"


def test_nothing_known_and_notes_are_a_picture_too():
    svg = draw(Lineage("/films/a.mp4", "video", (), (), ("/out: cannot be read any more: gone & away",)))
    assert list(boxes(svg)) == ["/films/a.mp4"]
    assert "gone &amp; away" in svg


def test_what_comes_from_itself_ends():
    loop = Node("tracks", "/out", children=(Node("run", "curate", "", "id", (Node("tracks", "/out"),)),))
    assert len(boxes(draw(Lineage("models:/a/1", "model", (loop,), ())))) == 3


def test_names_of_others_are_a_picture_that_opens():
    name = "/films/\x1b[2J\x00<script>alert(1)</script>\ud800]]>&.mp4"
    node = Node("tracks", name, name, name, (Node("run", name),))
    svg = draw(Lineage(name, "model", (node,), (node,), (name,)))
    assert ET.fromstring(svg.encode()).find(".//{http://www.w3.org/2000/svg}script") is None
    assert "\\x1b[2J" in svg
