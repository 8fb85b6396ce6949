from pathlib import Path

import numpy as np
import pytest
from report_samples import STANDING, film, filmed_person, make_person, make_scene
from scipy.spatial.transform import Rotation

from pipelines.report.poses.stage import Stage, Timeline
from pipelines.video.probe import probe
from schemas.errors import UserError


def pitched(degrees):
    turn = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    return make_scene(make_person(positions=np.tile(STANDING @ turn.T, (20, 1, 1)).astype(np.float32)))


def test_z_is_up_and_the_ground_is_at_the_feet():
    shown = make_scene(make_person())
    stage = Stage.of(shown)
    x, y, z = np.moveaxis(shown.people[0].lifted.positions, -1, 0)
    np.testing.assert_allclose(stage.positions(shown, 0), np.stack([x, z, -y], axis=-1))
    np.testing.assert_allclose(stage.roots(shown, 0)[0], [0.1, 4, -0.2])
    assert stage.low[2] == pytest.approx(-0.2 - 0.9)
    assert stage.travels
    assert stage.tilt_deg == 0


def test_a_camera_that_looks_down_is_levelled():
    level, tilted = pitched(0), pitched(12)
    stage = Stage.of(tilted)
    assert stage.tilt_deg == pytest.approx(12, abs=1e-3)
    np.testing.assert_allclose(stage.positions(tilted, 0), Stage.of(level).positions(level, 0), atol=1e-5)


def test_lying_people_do_not_level_the_space():
    assert Stage.of(pitched(80)).tilt_deg == 0


def test_the_tilt_of_a_synthetic_camera_is_estimated(tmp_path: Path):
    video, people = film(tmp_path, seconds=1, people=1, width=64, height=64, actions=("wave",))
    up = people[0].view.rotation.T @ [0, 0, 1]
    stage = Stage.of(make_scene(filmed_person(people[0]), video=video))
    assert stage.tilt_deg > 4
    assert np.degrees(np.arccos(stage.axes @ up @ [0, 0, 1])) < 3


def test_outliers_do_not_enlarge_the_stage():
    wild = np.tile(np.array([0, 0, 4], np.float32), (1000, 1))
    wild[500] = 300
    stage = Stage.of(make_scene(make_person(1000, trajectory=wild)))
    assert (stage.high - stage.low).max() < 5


def test_without_trajectories_people_stand_side_by_side():
    shown = make_scene(make_person(trajectory=None), make_person())
    stage = Stage.of(shown)
    assert not stage.travels
    np.testing.assert_allclose(stage.roots(shown, 0)[0] - stage.roots(shown, 1)[0], [-1.4, 0, 0], atol=1e-6)


def test_the_timeline_spans_all_people():
    times = 0.1 + np.arange(40) / 30
    shown = make_scene(
        make_person(10, start_frame=5, timestamps_s=times[5:15]),
        make_person(10, start_frame=20, timestamps_s=times[20:30]),
    )
    timeline = Timeline.of(shown, None)
    assert (timeline.first, len(timeline), timeline.cut) == (5, 25, 0)
    np.testing.assert_allclose(timeline.timestamps_s, times[5:30])
    short = Timeline.of(shown, None, longest=8)
    assert (len(short), short.cut) == (8, 17)


def test_timestamps_come_from_the_video(tmp_path: Path, make_video):
    video = make_video(tmp_path / "v.mp4", frames=12, fps=20)
    timeline = Timeline.of(make_scene(make_person(30, start_frame=2), video=video), probe(video))
    np.testing.assert_allclose(timeline.timestamps_s, np.arange(2, 12) / 20)
    with pytest.raises(UserError, match="has 12 frames, and the first person comes in frame 50"):
        Timeline.of(make_scene(make_person(30, start_frame=50), video=video), probe(video))
