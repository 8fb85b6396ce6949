"""The pages of a training and of an evaluation show the numbers of their reports."""

import json
import re
from typing import Any

import numpy as np
import pytest

from pipelines.report.pages.evaluation_page import evaluation_page
from pipelines.report.pages.training_page import training_page

HOSTILE = "<script>alert(1)</script>"
JOINTS = ("pelvis", "left_knee", "right_wrist")


def chart(html: str, name: str) -> dict:
    """The traces by name and the layout of a chart."""
    match = re.search(rf'<script type="application/json" id="{name}-data">(.*?)</script>', html)
    assert match is not None, name
    read = json.loads(match[1])
    return {"layout": read["layout"], **{trace.get("name", str(n)): trace for n, trace in enumerate(read["traces"])}}


def epoch(number: int, validated: bool = True) -> dict[str, Any]:
    """An epoch of a training whose second one was the best, with a warm-up of one epoch."""
    losses = {"pose": 1 / number} | ({"reprojection": 0.5 / number} if number > 1 else {})
    error_mm = 50.0 + 10 * abs(number - 2)
    return {
        "epoch": number,
        "loss": losses | {"total": sum(losses.values())},
        "learning_rate": 1e-3 * 0.9**number,
        **{"frames_per_s": 1000.0 * number, "computing_share": 0.75, "epoch_s": 60.0},
        "validation": {"mpjpe_mm": error_mm, "p_mpjpe_mm": 40.0, "other": 7.0} if validated else {},
    }


def training_report(**changes: Any) -> dict[str, Any]:
    return {
        **{"output": "out/lifter", "epochs": 3, "best_epoch": 2, "best_validation_mpjpe_mm": 50.0},
        "tracks": {"training": 12, "validation": 3, "unlabeled": 0, "shorter_than_receptive_field": 2},
        **{"fps": 50.0, "receptive_field": 243},
    } | changes


def mean(frames: int, error_mm: float, **metrics: float) -> dict[str, Any]:
    return {
        "frames": frames,
        "metrics": {"mpjpe_mm": error_mm, "bone_length_deviation": 0.05} | metrics,
        "per_joint_mm": dict(zip(JOINTS, (0.0, error_mm, 2 * error_mm), strict=True)),
    }


def track(name: str, action: str, error_mm: float) -> dict[str, Any]:
    score = mean(10, error_mm) | {"subject": "S1", "action": action, "per_joint_mm": [0.0, error_mm, 2 * error_mm]}
    return {"track_id": name, "camera": None, "labeled": True, "score": score}


def metrics(**changes: Any) -> dict[str, Any]:
    actions = {"Walking": mean(20, 40.0, p_mpjpe_mm=30.0), HOSTILE: mean(10, 60.0)}
    return {
        "model": f"out/{HOSTILE}.pt",
        "card": {
            **{"lifter": "temporal_conv", "receptive_field": 27, "fps": 50.0},
            **{"input_layout": "coco17", "output_layout": "h36m17"},
        },
        "data": {"uri": "tracks", "labeled_tracks": 2, "unlabeled_tracks": 0, "frames": 30},
        "flip": True,
        **{"average": mean(30, 50.0, trajectory_mm=123.4), "overall": mean(30, 46.7), "unlabeled": None},
        "tables": [{"subject": None, "actions": actions, "average": mean(30, 50.0), "overall": mean(30, 46.7)}],
        "notes": [f"1 of 2 tracks: {HOSTILE}"],
        "tracks": [track("a", "Walking", 40.0), track("b", HOSTILE, 60.0)],
    } | changes


def test_every_epoch_and_loss_term_is_drawn():
    html = training_page(training_report(), [epoch(n) for n in (1, 2, 3)])
    losses = chart(html, "losses")
    assert losses["pose"]["x"] == [1, 2, 3]
    assert losses["reprojection"]["y"] == [None, 0.25, pytest.approx(0.5 / 3)], "it begins after the warm-up"
    held_out = chart(html, "held-out")
    assert held_out["MPJPE"]["y"] == [60, 50, 60]
    assert held_out["layout"]["shapes"][0]["x0"] == 2
    assert held_out["layout"]["annotations"][0]["text"] == "best: epoch 2"
    assert chart(html, "speed")["frames/s"]["y"] == [1000, 2000, 3000]
    assert '<tr><td>MPJPE, mm</td><td class="number">50</td><td class="number">60</td></tr>' in html
    assert "<td>other</td>" in html, "measures of later versions are shown too"
    for text in ("epoch 2, 50.0 mm held out", "243 frames at 50 frames/s", "2,000 frames/s, median", ">0:03:00<"):
        assert text in html
    assert "2 tracks are shorter than what the lifter reads" in html


def test_without_held_out_people_it_says_so():
    report = training_report(best_epoch=1, best_validation_mpjpe_mm=None, epochs=1)
    html = training_page(report, [epoch(1, validated=False)])
    assert "Nobody was held out" in html
    assert 'id="held-out"' not in html
    assert "shapes" not in chart(html, "losses")["layout"]


def test_values_that_are_not_finite_are_left_out():
    wild = epoch(2) | {"validation": {"mpjpe_mm": float("nan")}}
    html = training_page(training_report(), [epoch(1), wild, epoch(3)])
    assert chart(html, "held-out")["MPJPE"]["y"] == [60, None, 60]


def test_the_table_of_an_evaluation():
    html = evaluation_page(metrics())
    cells = '<td>Walking</td><td class="number">20</td><td class="number">40.0</td><td class="number">30.0</td>'
    assert cells in html
    assert '<td>Average of actions</td><td class="number">30</td><td class="number">50.0</td>' in html
    assert '<td>trajectory, mm</td><td class="number">123.4</td>' in html
    joints = chart(html, "joints")["0"]
    assert joints["x"] == [0, 50, 100]
    assert joints["error_x"]["array"] == pytest.approx([0, np.std([40, 60]), np.std([80, 120])])
    assert chart(html, "actions")["0"]["x"] == [60, 40], "the worst first"
    assert sum(chart(html, "tracks")["0"]["y"]) == 2


def test_subjects_have_tables_of_their_own():
    tables = [dict(metrics()["tables"][0], subject=name) for name in ("S9", "S11")]
    html = evaluation_page(metrics(tables=tables))
    assert "<td>S9 Walking</td>" in html
    assert "<td>S11, average</td>" in html


def test_without_labels_there_are_no_errors_to_show():
    unlabeled = [track("a", "Walking", 0.0) | {"labeled": False}]
    nothing = {"average": None, "overall": None, "unlabeled": mean(30, 0.0), "tables": [], "tracks": unlabeled}
    html = evaluation_page(metrics(**nothing))
    assert "MPJPE" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "0.050" in html


def test_names_are_escaped():
    pages = evaluation_page(metrics()), training_page(training_report(output=HOSTILE), [epoch(1), epoch(2)])
    assert all("alert(1)" in page and HOSTILE not in page for page in pages)


def test_a_browser_shows_both_pages(open_page, screenshot):
    for name, html, charts in (
        ("training_page", training_page(training_report(), [epoch(n) for n in (1, 2, 3)]), 4),
        ("evaluation_page", evaluation_page(metrics()), 3),
    ):
        page = open_page(html)
        page.wait_for_function(f"document.querySelectorAll('.js-plotly-plot .main-svg').length >= {charts}")
        assert page.locator(".js-plotly-plot").count() == charts
        assert page.locator(".js-plotly-plot .trace").count() >= charts
        assert screenshot(page, name).stat().st_size > 30_000
