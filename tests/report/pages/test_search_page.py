"""The page of a search draws and lists every trial, however it ended."""

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from pipelines.report.pages.search_page import best_first, search_page

RATE, WIDTHS, WEIGHT, AMSGRAD = (
    *("optimization.learning_rate", "lifter.filter_widths"),
    *("objective.bone_length", "optimization.amsgrad"),
)
HOSTILE = "<script>alert(1)</script>"
SPACE = {
    RATE: {"loguniform": [1e-4, 1e-2]},
    WIDTHS: {"choice": [[3, 3], [3, 3, 3]]},
    WEIGHT: {"uniform": [0, 2]},
    AMSGRAD: {"choice": [True, False]},
}


def trial(number: int, epochs: int = 8, **changes: Any) -> dict[str, Any]:
    """A trial whose learning rate decides how good it gets: 1e-3 is best."""
    random = np.random.default_rng(number)
    rate = float(10 ** random.uniform(-4, -2))
    widths = [[3, 3], [3, 3, 3]][int(random.integers(2))]
    last_mm = 45 + 25 * abs(math.log10(rate) + 3) + (4 if widths == [3, 3] else 0)
    scores_mm = {str(epoch): last_mm + 60 * 0.6**epoch + random.normal(0, 0.6) for epoch in range(1, epochs + 1)}
    best = min(scores_mm, key=lambda epoch: scores_mm[epoch], default=None)
    return {
        **{"trial": f"{number:03d}", "state": "finished", "reason": None, "hopeless": False, "exploited": []},
        "parameters": {RATE: rate, WIDTHS: widths, WEIGHT: random.uniform(0, 2), AMSGRAD: bool(number % 2)},
        **{"error_mm": best and scores_mm[best], "best_epoch": best and int(best)},
        **{"epochs": epochs, "seconds": 61.5},
        **{"run_id": "0" * 32, "scores_mm": scores_mm},
    } | changes


def report(*trials: dict[str, Any], **changes: Any) -> dict[str, Any]:
    finished = best_first([t for t in trials if t["state"] == "finished"])
    best = {name: finished[0][name] for name in ("trial", "error_mm", "best_epoch")} if finished else None
    return {
        **{"output": f"out/{HOSTILE}", "metric": "mpjpe_mm", "sampler": "tpe", "scheduler": "asha", "epochs": 8},
        **{"search_space": SPACE, "best": best, "trials": list(trials), "data": "digest"},
    } | changes


def search(count: int = 24) -> dict[str, Any]:
    """A search in which two trials in three are stopped early and the last has failed."""
    trials = [
        trial(n) if n % 3 == 0 else trial(n, 3, state="stopped", best_epoch=None, reason="by asha after epoch 3")
        for n in range(1, count)
    ]
    return report(*trials, trial(count, 0, state="failed", reason=HOSTILE))


def chart(html: str, name: str) -> dict[str, Any]:
    match = re.search(rf'<script type="application/json" id="{name}-data">(.*?)</script>', html)
    assert match is not None, name
    return json.loads(match[1])


def test_parallel_coordinates_have_an_axis_for_each_parameter_and_a_line_for_each_trial():
    content = search()
    (trace,) = chart(search_page(content), "coordinates")["traces"]
    scored = [t for t in content["trials"] if t["error_mm"] is not None]
    axes = {axis["label"].replace("<br>", ""): axis for axis in trace["dimensions"]}
    assert list(axes) == [RATE, WIDTHS, WEIGHT, AMSGRAD, "epochs", "error, mm"]
    assert all(len(axis["values"]) == len(scored) for axis in axes.values())
    assert axes[RATE]["range"] == [-4, -2], "by powers of ten"
    assert axes[RATE]["ticktext"] == ["0.0001", "0.00032", "0.001", "0.0032", "0.01"]
    assert all(isinstance(tick, int) for tick in axes["epochs"]["tickvals"])
    assert axes[WIDTHS]["ticktext"] == ["[3, 3]", "[3, 3, 3]"]
    assert trace["line"]["color"] == axes["error, mm"]["values"]


def test_each_trial_leads_to_its_run_in_mlflow():
    away = trial(2, run_id="")
    page = "http://mlflow:5000/#/experiments/1/runs/"
    linked = search_page(report(trial(1), away, runs_page=page))
    assert f'<a href="{page}{"0" * 32}">{"0" * 8}</a>' in linked
    assert linked.count(f'<a href="{page}') == 1, "the other has no run"
    assert "0" * 32 in search_page(report(trial(1), away, runs_page=None)), "to be copied: no server shows it"


def test_importance_is_measured_on_finished_trials():
    drawn = chart(search_page(search()), "importance")["traces"][0]
    assert drawn["y"][-1] == "learning_rate", "Optuna draws the most important one last, at the top"
    assert sum(drawn["x"]) == pytest.approx(1)
    assert 'id="importance"' not in search_page(search(8)), "too few finished trials"


def test_the_error_is_drawn_over_the_two_parameters_that_matter_most():
    html = search_page(search())
    contour, points, *_ = chart(html, "contour")["traces"]
    two = chart(html, "importance")["traces"][0]["y"][-2:]
    axes = chart(html, "contour")["layout"]
    assert [axes[axis]["title"]["text"] for axis in ("xaxis", "yaxis")] == sorted(two)
    rates = [t["parameters"][RATE] for t in search()["trials"] if t["state"] == "finished"]
    assert sorted(points["y"]) == pytest.approx(sorted(rates))
    assert contour["type"] == "contour"
    assert len(points["x"]) == sum(t["state"] == "finished" for t in search()["trials"])


def test_the_page_of_a_large_search_stays_small():
    content = report(*(trial(number, 1) for number in range(1, 301)))
    html = search_page(content)
    _, points, *_ = chart(html, "contour")["traces"]
    assert len(points["x"]) == 100
    best = next(t for t in content["trials"] if t["trial"] == content["best"]["trial"])
    assert pytest.approx(best["parameters"][RATE]) in points["y"]
    assert len(html) < 6_000_000, "Plotly itself has 4.8 MB"
    assert "One in 3 of the finished trials" in html


def test_a_field_that_is_searched_beside_one_choice_alone_has_a_place_for_the_others():
    content = search()
    content["search_space"] = SPACE | {WEIGHT: {"uniform": [0, 2], "when": {AMSGRAD: [True]}}}
    for one in content["trials"]:
        if not one["parameters"][AMSGRAD]:
            del one["parameters"][WEIGHT]
    html = search_page(content)
    axis = chart(html, "coordinates")["traces"][0]["dimensions"][2]
    assert (axis["tickvals"][0], axis["ticktext"][0], axis["range"]) == (-0.5, "–", [-0.5, 2.0])
    assert axis["values"].count(-0.5) == sum(
        WEIGHT not in t["parameters"] for t in content["trials"] if t["error_mm"] is not None
    )
    assert '<td class="number">–</td>' in html or "<td>–</td>" in html


def test_charts_show_scored_trials_under_their_numbers():
    content = search()
    html = search_page(content)
    scored = {int(t["trial"]): t for t in content["trials"] if t["error_mm"] is not None}
    history = chart(html, "history")["traces"][0]
    assert dict(zip(history["x"], history["y"], strict=True)) == pytest.approx(
        {number: t["error_mm"] for number, t in scored.items()}
    )
    curves = chart(html, "curves")["traces"]
    assert {trace["name"] for trace in curves} == {f"Trial{number}" for number in scored}
    assert curves[-1]["name"] == f"Trial{int(content['best']['trial'])}", "the best lies on top"
    rates = chart(html, "slice-0")["traces"][0]
    assert sorted(rates["x"]) == pytest.approx(sorted(t["parameters"][RATE] for t in scored.values()))


def test_a_search_by_several_metrics_draws_its_front():
    trials = [
        trial(n, measures={"parameters": 1000.0 * n, "lift_frames_per_s": 1e4 / n}, repeats=None) for n in range(1, 5)
    ]
    metrics = {"metrics": ["mpjpe_mm", "parameters", "lift_frames_per_s"], "lifted_on": "CPU, 2 threads"}
    html = search_page(report(*trials, **metrics, front=["002", "004"]))
    others, front = chart(html, "front-1")["traces"]
    assert (sorted(others["x"]), sorted(front["x"])) == ([1000, 3000], [2000, 4000])
    assert sorted(chart(html, "front-2")["traces"][1]["x"]) == [2500, 5000]
    assert "measured on CPU, 2 threads" in html
    assert 'id="front-1' not in search_page(report(*trials)), "nor in reports of earlier versions"


def test_html_in_a_choice_is_escaped():
    content = search(4)
    content["search_space"] = SPACE | {WIDTHS: {"choice": [HOSTILE, [3, 3, 3]]}}
    for one in content["trials"]:
        one["parameters"][WIDTHS] = HOSTILE
    html = search_page(content)
    assert HOSTILE not in html
    assert chart(html, "slice-1")["layout"]["xaxis"]["categoryarray"] == [
        *("'&lt;script&gt;alert(1)&lt;/script&gt;'", "'[3, 3, 3]'"),
    ]


def test_every_trial_is_in_the_table_the_best_first():
    content = search()
    html = search_page(content)
    names = re.findall(r'<tr><td class="number">(\d{3})</td>', html)
    assert len(names) == 24
    assert (names[0], names[-1]) == (content["best"]["trial"], "024")
    assert "stopped (by asha after epoch 3)" in html
    assert HOSTILE not in html


def test_a_search_without_a_finished_trial_says_so():
    html = search_page(report(trial(1, 0, state="failed", reason="the loss is not finite")))
    assert "No trial is finished; the table says why." in html
    assert "failed (the loss is not finite)" in html
    assert 'id="coordinates"' not in html


def test_a_browser_shows_the_page(open_page, screenshot):
    for scheme in ("light", "dark"):
        page = open_page(search_page(search()), color_scheme=scheme)
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 9")
        page.wait_for_selector("#coordinates canvas.gl-canvas-context")
        page.wait_for_function(
            "[...document.querySelectorAll('.chart')].every((c) => c.querySelector('svg').clientWidth <= c.clientWidth)"
        )
        assert page.locator("#coordinates .axis-title").count() == 6
        assert page.locator("#importance .bars path").count() == 4
        assert screenshot(page, f"search_page_{scheme}").stat().st_size > 30_000


def test_the_verdict_comes_first_and_repeats_are_listed_and_not_drawn():
    again = trial(5, repeats="002")
    page = search_page(report(trial(1), trial(2), again, verdict="Better than before by 3 mm."))
    assert '<p class="note">Better than before by 3 mm.</p>' in page
    assert "finished; 002 with another seed" in page
    assert page.count(f"{again['parameters'][RATE]:.4g}") == 1, "in the table alone"


def test_charts_keep_to_their_places_in_a_narrower_window_too(open_page):
    page = open_page(search_page(search()))
    wider = """[...document.querySelectorAll('.chart')].filter(
        (chart) => chart.querySelector('.main-svg').getBoundingClientRect().width > chart.clientWidth + 1
    ).map((chart) => chart.id)"""
    for width in (1280, 700):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"() => {wider}.length === 0", timeout=10_000)
