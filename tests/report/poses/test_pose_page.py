import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from report_samples import film, filmed_scene, make_person, make_scene

from pipelines.pose.joint_angles import joint_angles_deg
from pipelines.report.poses.packing import pack
from pipelines.report.poses.pose_page import pose_page
from pipelines.report.poses.scene import Scene
from pipelines.report.poses.stage import Stage
from pipelines.video.encode import VideoWriter
from schemas.cameras import Intrinsics
from schemas.errors import UserError
from schemas.layouts import layout

READY = "body[data-ready]"
JOINTS = "const [joints] = document.getElementById('space').data.filter((trace) => trace.name === 'joints'); "


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return filmed_scene(*film(tmp_path_factory.mktemp("film")))


@pytest.fixture(scope="module")
def page(open_page: Any, two_people: Scene) -> Any:
    opened = open_page(pose_page(two_people))
    opened.wait_for_selector(READY)
    return opened


def go_to(page: Any, frame: int) -> None:
    page.locator("#slider").fill(str(frame))
    page.wait_for_function("!document.querySelector('#picture video').seeking")


def settled_picture(page: Any) -> str:
    """The picture once it stays the same: the browser shows the video's frame some time after it has found it."""
    picture = "document.querySelector('#picture canvas').toDataURL()"
    same = f"() => {{ const before = window.before; window.before = {picture}; return before === window.before; }}"
    page.evaluate("() => { window.before = null; }")
    page.wait_for_function(same, polling=300)
    return page.evaluate(picture)


def drawn_joints(page: Any, count: int, first_x: float | None = None) -> np.ndarray:
    """The drawn 3D joints of all people, as soon as there are `count` of them and the first has this x."""
    there = f"joints.x.length === {count}" + (
        "" if first_x is None else f" && Math.abs(joints.x[0] - {first_x}) < 2e-3"
    )
    page.wait_for_function(f"() => {{ {JOINTS} return {there}; }}")
    return np.array(page.evaluate(f"() => {{ {JOINTS} return [joints.x, joints.y, joints.z]; }}")).T


def test_the_slider_moves_video_and_skeletons(page: Any, two_people: Scene, screenshot: Any) -> None:
    stage = Stage.of(two_people)
    canvases = []
    for frame in (12, 30):
        go_to(page, frame)
        at = [slice(frame - 10 * person, frame - 10 * person + 1) for person in (0, 1)]
        expected = np.concatenate(
            [(stage.positions(two_people, i, at[i]) + stage.roots(two_people, i, at[i])[:, None])[0] for i in (0, 1)]
        )
        np.testing.assert_allclose(drawn_joints(page, 34, expected[0, 0]), expected, atol=1.1e-3)
        assert frame / 25 <= page.evaluate("document.querySelector('#picture video').currentTime") < (frame + 1) / 25
        assert f"frame {frame} of 49" in page.locator("#now").inner_text()
        canvases.append(page.evaluate("document.querySelector('#picture canvas').toDataURL()"))
    assert canvases[0] != canvases[1]
    screenshot(page, "pose_page")


def test_the_skeleton_lies_on_the_keypoints(page: Any, two_people: Scene) -> None:
    go_to(page, 30)
    for index, person in enumerate(two_people.people):
        points = person.keypoints.keypoints[30 - 10 * index] / [320, 240]
        opaque = page.evaluate(
            """(points) => {
                const canvas = document.querySelector('#picture canvas');
                const context = canvas.getContext('2d');
                return points.map(([x, y]) => context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data[3]);
            }""",
            points.tolist(),
        )
        assert min(opaque) > 0


def test_people_are_shown_only_in_the_frames_of_their_tracks(page: Any) -> None:
    go_to(page, 5)
    assert len(drawn_joints(page, 17)) == 17
    go_to(page, 10)
    assert len(drawn_joints(page, 34)) == 34


def test_the_viewpoint_stays_when_the_frame_changes(page: Any) -> None:
    ranges = "['xaxis', 'yaxis', 'zaxis'].map((axis) => document.getElementById('space')._fullLayout.scene[axis].range)"
    go_to(page, 2)
    before = page.evaluate(ranges)
    go_to(page, 45)
    np.testing.assert_allclose(page.evaluate(ranges), before)


def test_the_page_plays_to_the_last_frame(page: Any) -> None:
    go_to(page, 5)
    # Slowly at first: a busy machine would otherwise be at the end before the button is looked at.
    page.locator("#speed").select_option("0.1")
    page.locator("#play").click()
    assert page.locator("#play").get_attribute("aria-label") == "Pause"
    page.wait_for_function("document.getElementById('slider').value > 6")
    page.locator("#speed").select_option("2")
    page.wait_for_selector("#play[aria-label=Play]")
    assert page.locator("#slider").input_value() == "49"


def test_keys_step_and_play(page: Any) -> None:
    go_to(page, 10)
    value = "document.getElementById('slider').value"
    for key, expected in {"ArrowRight": "11", "ArrowLeft": "10", "Shift+ArrowRight": "35", "Home": "0"}.items():
        page.keyboard.press(key)
        assert page.locator("#slider").input_value() == expected
    page.keyboard.press(" ")
    page.wait_for_function(f"{value} > 3")
    page.keyboard.press(" ")
    page.wait_for_function("document.querySelector('#picture video').paused")
    stopped = page.locator("#slider").input_value()
    page.wait_for_timeout(150)
    assert page.locator("#slider").input_value() == stopped


def test_a_click_on_the_curve_seeks_to_that_time(page: Any) -> None:
    go_to(page, 0)
    box = page.locator("#curves").bounding_box()
    page.mouse.click(box["x"] + 56 + (box["width"] - 72) * 0.5, box["y"] + 40)
    # Half of the time between frames 0 and 49.
    assert page.locator("#slider").input_value() in ("24", "25")
    cursor = page.locator("#cursor").bounding_box()
    assert cursor["x"] - box["x"] == pytest.approx(56 + (box["width"] - 72) * 0.5, rel=0.03)


def test_joint_angles_are_drawn_for_both_sides(page: Any, two_people: Scene, screenshot: Any) -> None:
    page.locator("#group").select_option(label="joint angles")
    lifted = two_people.people[0].lifted
    expected = joint_angles_deg(torch.from_numpy(lifted.positions), layout(lifted.layout))[:, 0].numpy()
    drawn = "document.getElementById('curves').data.filter((trace) => trace.name !== 'unseen')"
    page.wait_for_function(f"() => {drawn}.length === 8")
    np.testing.assert_allclose(page.evaluate(f"() => {drawn}[0].y"), expected, atol=0.051)
    screenshot(page, "pose_page_angles")
    page.locator("#group").select_option(label="quality")


def test_the_lifted_joints_can_be_drawn_in_the_picture(page: Any, screenshot: Any) -> None:
    go_to(page, 30)
    without = settled_picture(page)
    page.locator("#projected").check()
    assert settled_picture(page) != without
    screenshot(page, "pose_page_projected")
    page.locator("#projected").uncheck()
    assert settled_picture(page) == without


def test_without_a_place_in_space_nothing_can_be_drawn_in_the_picture(open_page: Any) -> None:
    page = open_page(pose_page(make_scene(make_person(5, trajectory=None))))
    page.wait_for_selector(READY)
    assert not page.locator("#projected").is_visible()


def test_names_on_the_pose_page_are_escaped(page: Any) -> None:
    assert page.title() == "Walk & wave <two people>"
    assert page.locator("h1").inner_text() == "Walk & wave <two people>"


def test_the_video_shows_the_frame_of_the_slider(open_page: Any, tmp_path: Path) -> None:
    # Variable frame rate: every third frame lasts three times as long.
    times = np.cumsum([0.12 if i % 3 == 0 else 0.04 for i in range(48)])
    with VideoWriter(tmp_path / "numbered.mp4", 192, 64, 15, time_base=Fraction(1, 1000)) as writer:
        for number, time_s in enumerate(times):
            bits = np.array([number >> bit & 1 for bit in range(6)], np.uint8)
            writer.write(np.tile(255 * bits.repeat(32)[None, :, None], (64, 1, 3)), float(time_s))
    person = make_person(40, start_frame=4, timestamps_s=times[4:44], width=192, height=64)
    page = open_page(pose_page(make_scene(person, video=tmp_path / "numbered.mp4")))
    page.wait_for_selector(READY)
    for frame in (0, 39, 17, 18, 19, 1):
        go_to(page, frame)
        page.wait_for_function(
            """(expected) => {
                const canvas = document.createElement('canvas');
                [canvas.width, canvas.height] = [192, 64];
                const context = canvas.getContext('2d');
                context.drawImage(document.querySelector('#picture video'), 0, 0, 192, 64);
                const bits = [0, 1, 2, 3, 4, 5];
                const light = (bit) => context.getImageData(32 * bit + 16, 32, 1, 1).data[0] > 128;
                return bits.reduce((sum, bit) => sum + (light(bit) << bit), 0) === expected;
            }""",
            arg=frame + 4,
            timeout=10_000,
        )


def test_a_scene_without_video_or_trajectories_plays_and_says_so(open_page: Any, screenshot: Any) -> None:
    people = [make_person(30, person=i, trajectory=None, reprojection_px=None, reprojection="none") for i in range(2)]
    page = open_page(pose_page(make_scene(*people, title="</script><b>")), color_scheme="dark")
    page.wait_for_selector(READY)
    assert "Root-relative" in page.locator(".note").first.inner_text()
    assert not page.locator("#picture video").is_visible()
    assert page.locator("h1").inner_text() == "</script><b>"
    page.keyboard.press(" ")
    page.wait_for_function("document.getElementById('slider').value === '29'")
    screenshot(page, "pose_page_without_video")


def test_a_video_that_the_browser_cannot_play_is_left_out(open_page: Any, two_people: Scene) -> None:
    text = pose_page(two_people)
    start = text.index('id="clip">') + len('id="clip">')
    page = open_page(text[:start] + "AAAA" + text[text.index("</script>", start) :])
    page.wait_for_selector(READY)
    page.wait_for_selector("#trouble:not([hidden])")
    assert "cannot play" in page.locator("#trouble").inner_text()
    page.keyboard.press(" ")
    page.wait_for_function("document.getElementById('slider').value > 5")


def test_packed_arrays_round_trip(page: Any) -> None:
    rng = np.random.default_rng(0)
    for kind in (np.uint8, np.int16, np.int32):
        limits = np.iinfo(kind)
        values = rng.integers(limits.min, limits.max, (7, 3, 2), kind, endpoint=True)
        assert (
            page.evaluate("async (packed) => Array.from(await unpack(packed))", pack(values)) == values.ravel().tolist()
        )
    assert page.evaluate("async (packed) => (await unpack(packed)).length", pack(np.zeros((0, 3), np.int16))) == 0


def test_long_scenes_are_cut_with_a_note() -> None:
    text = pose_page(make_scene(make_person(50)), longest=20)
    assert "Shown are the first 20 frames; 30 more" in text
    assert 'max="19"' in text


def test_another_video_is_refused(tmp_path: Path, make_video: Any) -> None:
    video = make_video(tmp_path / "v.mp4", frames=5)
    with pytest.raises(UserError, match="name the video that these tracks are of"):
        pose_page(make_scene(make_person(start_frame=50), video=video))


def test_joints_that_were_not_seen_are_thin_and_named(open_page: Any, screenshot: Any) -> None:
    scores = np.full((30, 17), 0.9, np.float32)
    scores[:, [2, 3, 5, 6]] = 0.1
    page = open_page(pose_page(make_scene(make_person(30, joint_scores=scores))))
    page.wait_for_selector(READY)
    assert "not seen" in page.locator(".note").first.inner_text()
    assert "left knee" in page.locator(".note").first.inner_text()
    guessed = (
        "document.getElementById('space').data.find((trace) => trace.name === 'muted').x.filter((x) => x !== null)"
    )
    page.wait_for_function(f"() => {guessed}.length > 0")
    assert page.evaluate(f"{guessed}.length") == 2 * 4, "both ends of shanks and thighs"
    assert len(drawn_joints(page, 13)) == 13
    screenshot(page, "pose_page_unseen")


def test_the_page_says_what_sizes_and_distances_rest_on() -> None:
    focal = 320 / math.tan(math.radians(30))
    camera = Intrinsics(fx=focal, fy=focal, cx=320, cy=240)
    person = make_person(intrinsics=camera, intrinsics_provenance="assumed_fov")
    page = pose_page(make_scene(person))
    assert "Assumed: people are as tall as the model takes them to be. The camera sees 60° along" in page
    known = pose_page(Scene("A scene", (person,), None, stature_m=1.95))
    assert "Assumed: people are 1.95 m tall. The camera sees" in known
    still = pose_page(make_scene(make_person(trajectory=None)))
    assert "Assumed:" not in still


def test_numbers_are_those_of_the_frames_in_which_people_were_seen() -> None:
    interpolated = np.arange(20) >= 15
    errors = np.where(interpolated, 90, 2).astype(np.float32)
    page = pose_page(make_scene(make_person(interpolated=interpolated, reprojection_px=errors)))
    assert "median; 2 at 95 %" in page
    assert "5 of 20 frames" in page
