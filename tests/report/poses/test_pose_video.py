from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from report_samples import film, filmed_scene, make_person, make_scene

from pipelines.report.poses import drawing
from pipelines.report.poses.drawing import Eye
from pipelines.report.poses.pose_video import render_gif, render_mp4, render_png
from pipelines.report.poses.scene import Scene
from pipelines.report.poses.stage import Stage
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return filmed_scene(*film(tmp_path_factory.mktemp("film"), seconds=1))


def like(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Number of pixels that have almost this colour."""
    return int((np.abs(image.astype(int) - colour).max(axis=-1) < 40).sum())


def test_the_mp4_shows_video_and_people(two_people: Scene, tmp_path: Path) -> None:
    shown = []
    render_mp4(tmp_path / "a.mp4", two_people, 240, on_frame=lambda: shown.append(1))
    info = probe(tmp_path / "a.mp4")
    assert (info.frame_count, len(shown)) == (25, 25)
    assert (info.width, info.height) == (320 + 264, 240 + 46)
    assert two_people.video is not None
    with VideoReader(tmp_path / "a.mp4") as rendered, VideoReader(two_people.video) as filmed:
        first, last = (rendered.read(frame, frame + 1).images[0] for frame in (2, 24))
        # The upper edge of the picture, where there is no person.
        assert np.abs(last[:20, :320].astype(int) - filmed.read(24, 25).images[0][:20]).mean() < 6
    alone, together = (
        sum(like(image[60:200, 320:], colour) for colour in (*drawing.SIDES.values(), drawing.TEXT))
        for image in (first, last)
    )
    # The second person appears in frame 10.
    assert 1.4 * alone < together
    # An ankle is a white dot on the picture.
    x, y = np.rint(two_people.people[0].keypoints.keypoints[24, 3]).astype(int)
    assert last[y - 1 : y + 2, x - 1 : x + 2].min(axis=-1).max() > 180


def test_the_picture_is_the_middle_frame(two_people: Scene, tmp_path: Path) -> None:
    picture = cv2.imdecode(np.frombuffer(render_png(two_people, 240), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    assert picture.shape == (240 + 46, 320 + 264, 3)
    render_mp4(tmp_path / "a.mp4", two_people, 240)
    with VideoReader(tmp_path / "a.mp4") as rendered:
        assert np.abs(rendered.read(12, 13).images[0].astype(int) - picture).mean() < 4


def test_frames_keep_their_times(tmp_path: Path) -> None:
    times = 3 + np.cumsum([0.12 if i % 3 == 0 else 0.04 for i in range(20)])
    render_mp4(tmp_path / "a.mp4", make_scene(make_person(20, timestamps_s=times)), 96)
    np.testing.assert_allclose(probe(tmp_path / "a.mp4").timestamps_s, times - times[0], atol=1e-4)


def test_the_gif_is_as_long_and_fast_as_asked_for(two_people: Scene, tmp_path: Path) -> None:
    render_gif(tmp_path / "a.gif", two_people, 96, fps=10, seconds=0.5)
    with av.open(str(tmp_path / "a.gif")) as container:
        frames = list(container.decode(video=0))
    # 25 frames/s: the first frame at or after each tenth of a second.
    assert [frame.time for frame in frames] == pytest.approx([0, 0.12, 0.2, 0.32, 0.4])
    assert like(frames[0].to_ndarray(format="rgb24"), drawing.SIDES["left"]) > 20


@pytest.mark.parametrize(("width", "height"), [(2000, 300), (300, 2000), (641, 359)])
def test_videos_of_any_shape_fit_the_picture(width: int, height: int, tmp_path: Path) -> None:
    person = make_person(3, width=width, height=height, keypoints=np.full((3, 17, 2), height / 2, np.float32))
    render_mp4(tmp_path / "a.mp4", make_scene(person), 120)
    info = probe(tmp_path / "a.mp4")
    assert 66 <= info.width - 132 <= 214


def test_the_whole_stage_is_always_in_view() -> None:
    walks = np.linspace([-3, 0, 2], [3, 0, 9], 50).astype(np.float32)
    stage = Stage.of(make_scene(make_person(50, trajectory=walks)))
    eye = Eye.of(stage, 300, 240)
    corners = np.stack(np.meshgrid(*zip(stage.low, stage.high, strict=True)), axis=-1).reshape(-1, 3)
    reach = []
    for time_s in np.linspace(0, Eye.SWING_S, 40):
        x, y, depth = eye.project(corners, time_s).T
        assert depth.min() > 0.5
        assert x.min() > 0
        assert x.max() < 300
        assert y.min() > 0
        assert y.max() < 240
        reach.append(max(np.ptp(x) / 300, np.ptp(y) / 240))
    assert max(reach) > 0.8


def test_the_3d_view_is_neither_flipped_nor_mirrored() -> None:
    eye = Eye.of(Stage.of(make_scene(make_person())), 200, 200)
    middle, up, right, back = eye.project(eye.centre + np.array([[0, 0, 0], [0, 0, 0.5], [0.5, 0, 0], [0, 0.5, 0]]), 0)
    assert middle[:2] == pytest.approx([100, 100])
    assert up[1] < middle[1]
    assert right[0] > middle[0]
    assert back[2] > middle[2]
