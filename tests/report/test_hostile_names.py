"""Names of videos, people and actions are only text on every page: they add no elements and run no scripts."""

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from label_outputs import clip, make_report, somebody, write_detections, write_lengths
from report.pages.test_search_page import report as search_report
from report.pages.test_search_page import trial
from report_samples import make_person, make_scene

from pipelines.io.secrets import printable
from pipelines.report.pages.alignment_page import alignment_page
from pipelines.report.pages.curation_page import curation_page
from pipelines.report.pages.evaluation_page import evaluation_page
from pipelines.report.pages.label_page import label_page
from pipelines.report.pages.search_page import search_page
from pipelines.report.pages.triangulation_page import triangulation_page
from pipelines.report.poses.pose_page import pose_page
from schemas.layouts import layout

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)' onfocus='alert(1)",
    '<a href="javascript:alert(1)">click</a><b>',
    "-->&lt;svg/onload=alert(1)><!--",
    "%{customdata} ${body} %3Cscript%3E\u202e\x1b[2J\n",
)


class Elements(HTMLParser):
    """Counts the elements of a page that a hostile name could add."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts, self.harm = 0, []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag in ("svg", "iframe", "object", "a", "b") or (tag == "img" and dict(attrs).get("src") == "x"):
            self.harm.append(tag)
        self.harm += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]


def evaluation(name: str) -> str:
    metrics = {"mpjpe_mm": 40.0, "p_mpjpe_mm": 30.0}
    joints = {"per_joint_mm": [10.0]}
    mean = {"frames": 10, "metrics": metrics, "per_joint_mm": {name: 10.0}}
    score = {"subject": name, "action": name, "frames": 10, "metrics": metrics, **joints}
    report = {
        **{"model": name, "notes": [name], "flip": False, "average": mean, "overall": mean, "unlabeled": None},
        "card": {"lifter": name, "receptive_field": 27, "fps": 25, "input_layout": "h36m17", "output_layout": "h36m17"},
        "data": {"labeled_tracks": 1, "unlabeled_tracks": 0, "frames": 10, "uri": name},
        "tables": [{"subject": name, "actions": {name: mean}, "average": mean}],
        "tracks": [{"labeled": True, "track_id": name, "camera": name, "score": score}],
    }
    return evaluation_page(report)


def poses(name: str) -> str:
    person = make_person(20, video=name, subject=name, action=name, camera=name, model=name, source=name, track_id=name)
    return pose_page(make_scene(person, title=name))


def search(name: str) -> str:
    changes = {"reason": name, "state": "failed", "exploited": [name], "run_id": name, "error_mm": None}
    failed = {**trial(1), **changes, "best_epoch": None}
    choices = {"optimization.amsgrad": {"choice": [name, "other"]}}
    trials = [{**trial(number), "parameters": {"optimization.amsgrad": name}} for number in range(2, 8)]
    failed["parameters"] = {"optimization.amsgrad": name}
    return search_page(search_report(*trials, failed, output=name, verdict=name, search_space=choices, runs_page=None))


def triangulation(name: str) -> str:
    camera = {"miss_px": 1.0, "labeled_frames": 3, "offset_s": 0.0}
    return triangulation_page(
        {
            **{"session": name, "notes": [name], "people": [], "cameras": {name: camera}},
            **{"frames": 3, "residual_px": 1.0, "step_s": 0.04},
        }
    )


def curation(name: str) -> str:
    counts = {"tracks_kept": 1, "frames_kept": 2, "tracks": 3, "frames": 4}
    track = {"reason": name, "track_id": name, "video": name, "seconds": 1.0}
    rejected = {name: {"tracks": 2, "frames": 2}}
    return curation_page({**counts, "output": name, "rejected": rejected}, {name: [(track, np.zeros((2, 12, 2)))]})


def alignment(name: str) -> str:
    person = {"name": name, "poses": [[[0.0, 0.0]] * 12] * 2, "times": [0.0, 0.1]}
    event = {"time_s": 0.1, "confidence": 0.5}
    repetition = {"start_s": 0.0, "stop_s": 0.1, "distance": 0.1, "events": {name: event}}
    deviations = {name: {joint.replace("_", " "): 0.1 for joint in layout("limbs12").joints}}
    deviations[name] |= dict.fromkeys(layout("limbs12").joints, 0.1)
    entry = {"track_id": name, "distance": 0.1, "mirrored": True, "repetitions": [repetition]}
    return alignment_page(person, person, {name: 1}, {**entry, "deviations": deviations}, "°")


OTHERS = (search, triangulation, curation, alignment)


@pytest.fixture
def labels(tmp_path: Any) -> Any:
    def page(name: str) -> str:
        write_detections(tmp_path, [clip(name, [[somebody()]] * 3 + [[]], damage=name)])
        write_lengths(tmp_path, 20)
        failures = {"failures": [{"video": name, "reason": name}], "damaged": [{"video": name, "damage": name}]}
        return label_page(make_report(output=name, decoders={name: 1}, **failures), str(tmp_path))

    return page


def test_names_add_no_elements_to_pages(labels: Any) -> None:
    for draw in (evaluation, poses, labels, *OTHERS):
        plain = Elements(draw("walk"))
        for name in HOSTILE:
            elements = Elements(draw(name))
            assert (elements.scripts, elements.harm) == (plain.scripts, plain.harm), (draw, name)


@pytest.mark.parametrize("draw", [evaluation, poses, *OTHERS], ids=lambda draw: draw.__name__)
def test_names_turn_no_text_round(draw: Any) -> None:
    """A mark that makes text run from right to left would show another name than there is."""
    for mark in "\u202e\u2066\u200f\u061c\u2028\x1b\x00":
        page = draw(f"gpj{mark}exe.mp4")
        assert mark not in page.replace(" ", "")
        assert f"gpj{printable(mark)}exe.mp4" in page


def test_names_run_no_scripts_in_a_browser(open_page: Any, labels: Any) -> None:
    name = "".join(HOSTILE)
    for draw in (evaluation, poses, labels, search, triangulation, alignment):
        page = open_page(draw(name).replace("alert(1)", "(window.harmed=1)"))
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length > 0")
        page.mouse.move(300, 300)
        assert page.evaluate("window.harmed") is None
        links = "[...document.querySelectorAll('a')].filter(a => a.href.baseVal ?? a.href).length"
        assert page.evaluate(links) == 0
        page.close()
