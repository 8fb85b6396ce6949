"""Names of videos, people and actions are only text on every page: they add no elements and run no scripts."""

from html.parser import HTMLParser
from typing import Any

import pytest
from label_outputs import clip, make_report, somebody, write_detections, write_lengths
from report_samples import make_person, make_scene

from pipelines.report.pages.evaluation_page import evaluation_page
from pipelines.report.pages.label_page import label_page
from pipelines.report.poses.pose_page import pose_page

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


@pytest.fixture
def labels(tmp_path: Any) -> Any:
    def page(name: str) -> str:
        write_detections(tmp_path, [clip(name, [[somebody()]] * 3 + [[]], damage=name)])
        write_lengths(tmp_path, 20)
        failures = {"failures": [{"video": name, "reason": name}], "damaged": [{"video": name, "damage": name}]}
        return label_page(make_report(output=name, decoders={name: 1}, **failures), str(tmp_path))

    return page


def test_names_add_no_elements_to_pages(labels: Any) -> None:
    for draw in (evaluation, poses, labels):
        plain = Elements(draw("walk"))
        for name in HOSTILE:
            elements = Elements(draw(name))
            assert (elements.scripts, elements.harm) == (plain.scripts, plain.harm), (draw, name)


def test_names_run_no_scripts_in_a_browser(open_page: Any, labels: Any) -> None:
    name = "".join(HOSTILE)
    for draw in (evaluation, poses, labels):
        page = open_page(draw(name).replace("alert(1)", "(window.harmed=1)"))
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length > 0")
        page.mouse.move(300, 300)
        assert page.evaluate("window.harmed") is None
        links = "[...document.querySelectorAll('a')].filter(a => a.href.baseVal ?? a.href).length"
        assert page.evaluate(links) == 0
        page.close()
