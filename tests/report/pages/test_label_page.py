"""The page of a label job shows the content of the output, also of large ones, and escapes names."""

import json
import re

import pytest
from label_outputs import clip, failed, make_report, somebody, write_detections, write_lengths

from pipelines.report.pages import label_sample
from pipelines.report.pages.label_page import label_page
from pipelines.report.pages.label_sample import sample_detections, sample_tracks
from pipelines.report.pages.overlays import draw_overlays
from schemas.layouts import layout

HOSTILE = "<img src=x onerror=alert(1)>.mp4"


def data(html: str, name: str) -> dict:
    """The trace of a chart."""
    match = re.search(rf'<script type="application/json" id="{name}-data">(.*?)</script>', html)
    assert match is not None, name
    return json.loads(match[1])["traces"][0]


@pytest.fixture
def output(tmp_path, make_video):
    """Twenty frames of a video in two files with two people in four of them, an empty video, and a failed one."""
    video = str(make_video(tmp_path / "a.mp4", frames=20))
    alone, pair = [somebody()], [somebody(), somebody(0.2, 0.4, 60)]
    write_detections(
        tmp_path,
        [clip(video, [alone] * 6 + [pair] * 4), clip(HOSTILE, [[]] * 10, decoded=[True] * 8 + [False] * 2)],
        [clip(video, [alone] * 5 + [[]] * 5, start=10), failed("broken.mp4")],
    )
    write_lengths(tmp_path, 20, 40, 60)
    return tmp_path


def test_people_scores_and_coverage_are_counted(output):
    detections = sample_detections(str(output / "detections"))
    assert detections.people_per_frame[:3].tolist() == [5 + 8, 11, 4], "frames that were not decoded do not count"
    assert detections.people == 19
    assert detections.box_scores[[4, 18]].tolist() == [4, 15]
    assert detections.keypoint_scores[[8, 16]].tolist() == [4 * 17, 15 * 17]
    assert detections.joint_score_sums == pytest.approx([15 * 0.8 + 4 * 0.4] * 17)
    coverage = {name: (v.frames, v.decoded, v.with_people) for name, v in detections.videos.items()}
    assert coverage == {str(output / "a.mp4"): (20, 20, 15), HOSTILE: (10, 8, 0)}
    tracks = sample_tracks(str(output / "tracks"))
    assert tracks.lengths_s.tolist() == [1, 2, 3]
    assert (tracks.frames, tracks.interpolated) == (120, 30)


def test_the_page_shows_the_numbers(output):
    html = label_page(make_report(), str(output))
    assert data(html, "people")["y"] == pytest.approx([100 * 13 / 28, 100 * 11 / 28, 100 * 4 / 28], abs=1e-3)
    assert data(html, "coverage")["x"] == [0, 75]
    assert data(html, "stages")["x"] == [0.5, 10, 40, 0.1, 0.4]
    assert sum(data(html, "track-lengths")["y"]) == 3
    for text in ("15 of 28 decoded frames have people", "28 of 30 frames were decoded", "Median 2.0 s; 25.0% of the"):
        assert text in html
    assert ">60 frames in 0:01:05<" in html
    assert ">78.4%<" in html, "detect's share of the work"


def test_failures_are_listed_with_reasons_and_escaped_names(output):
    failures = [{"video": f"{HOSTILE}{n}", "reason": "not a video <b>"} for n in range(60)]
    damaged = [{"video": "d.mp4", "damage": "1 of 20 frames damaged: 7"}]
    slow = [{"video": "s.mp4", "problem": "1 frames/s"}]
    html = label_page(make_report(failures=failures, damaged=damaged, too_slow=slow), str(output))
    assert '<td>not a video &lt;b&gt;</td><td class="number">60</td>' in html, "many are counted by reason"
    assert "… and 40 more, all in report.json" in html
    assert "1 of 20 frames damaged: 7" in html
    assert "1 frames/s" in html
    assert "<img src=x" not in html
    assert HOSTILE not in html


def test_a_large_output_is_sampled_and_the_page_tells_the_share(output, monkeypatch):
    monkeypatch.setattr(label_sample, "MOST_FRAMES", 15)
    html = label_page(make_report(frames=30), str(output))
    assert "1 of 2 detections files, 66.7% of the frames, evenly chosen" in html
    monkeypatch.setattr(label_sample, "MOST_FILES", 0)
    assert sample_tracks(str(output / "tracks")).files_read == 0


def test_coverage_of_many_videos_is_a_histogram(tmp_path):
    clips = [clip(f"v{n}.mp4", [[somebody()]] * n + [[]] * (40 - n)) for n in range(1, 41)]
    write_detections(tmp_path, clips)
    html = label_page(make_report(), str(tmp_path))
    counts = data(html, "coverage")["y"]
    assert sum(counts) == 40
    assert len(counts) == 20
    assert html.count(">v1.mp4<") == 1, "the least covered are named"
    assert ">v40.mp4<" not in html


def test_sample_frames_are_drawn_and_unreadable_videos_are_counted(output, tmp_path):
    gone = [clip(name, [[somebody(keypoint_score=0.1)]]) for name in ("s3://bucket/x.mp4", "/gone/y.mp4")]
    (tmp_path / "b.mp4").write_text("no video")
    write_detections(
        output, gone, [clip(str(tmp_path / "b.mp4"), [[somebody()]])], [clip(str(output / "a.mp4"), [[somebody()]] * 9)]
    )
    detections = sample_detections(str(output / "detections"))
    overlays, left_out = draw_overlays(list(detections.moments.values()), layout("coco17"), 6)
    (drawn,) = overlays
    assert drawn.moment.frame == 4
    assert drawn.jpeg[:2] == b"\xff\xd8"
    assert (drawn.width, drawn.height) == (160, 120)
    assert left_out["s3://bucket/x.mp4"] == "not on this machine"
    assert left_out["/gone/y.mp4"] == "no longer there"
    assert "not a video" in left_out[str(tmp_path / "b.mp4")]
    html = label_page(make_report(), str(output))
    assert html.count("data:image/jpeg;base64,") == 1
    assert "1 not on this machine" in html


def test_an_empty_output_has_a_page(tmp_path):
    report = make_report(frames=0, decoders={}, tracks=0)
    report["run"] |= {"frames": 0}
    html = label_page(report, str(tmp_path))
    assert "Nobody was found." in html
    assert "nothing detected" in html
    write_detections(tmp_path, [failed("a.mp4")], [clip("b.mp4", [[]] * 3)])
    assert "Nobody was found." in label_page(report, str(tmp_path))


def test_a_browser_shows_the_page(output, open_page, screenshot):
    failures = [{"video": HOSTILE, "reason": "not a video"}]
    page = open_page(label_page(make_report(failures=failures), str(output)))
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 7")
    # Charts are as wide as their figures, which become narrower when their neighbours are added.
    page.wait_for_function(
        "[...document.querySelectorAll('.js-plotly-plot')].every("
        "c => Math.abs(c.querySelector('.main-svg').getBoundingClientRect().width - c.clientWidth) < 2)"
    )
    assert page.evaluate("document.querySelector('.pictures img').naturalWidth") == 160
    assert page.locator("td", has_text=HOSTILE).count() >= 1
    assert screenshot(page, "label_page").stat().st_size > 30_000
