"""The studio's cameras as calibration files are read as the same cameras."""

import numpy as np
import pytest

from pipelines.calibration.read import read_cameras
from pipelines.synthetic.calibration import pose2sim
from pipelines.synthetic.cameras import place_cameras
from pipelines.synthetic.motion import generate_motion
from pipelines.synthetic.truth import true_people


def test_each_scene_has_the_cameras_that_filmed_it(tmp_path):
    motion = generate_motion(np.random.default_rng(3), 1.0, 30.0, "walk")
    views = place_cameras(np.random.default_rng(3), motion.positions, 2, 640, 480, arc_deg=180.0)
    people = [
        truth for view in views for truth in true_people(f"videos/S000_walk_{view.name}.mp4", ["S000"], [motion], view)
    ]
    files = pose2sim(people)
    assert list(files) == ["S000_walk"]
    (tmp_path / "Calib.toml").write_text(files["S000_walk"])
    cameras = read_cameras(str(tmp_path / "Calib.toml"))
    assert [camera.name for camera in cameras] == ["C0", "C1"]
    for camera, view in zip(cameras, views, strict=True):
        assert camera.project(motion.positions) == pytest.approx(view.project(motion.positions), abs=0.5)
        assert camera.to_camera(motion.positions) == pytest.approx(view.to_camera(motion.positions), abs=1e-6)
