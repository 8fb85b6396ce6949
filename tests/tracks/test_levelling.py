"""The level ground of a video: who stands upright in front of a tilted camera stands upright in the world."""

import numpy as np
import pytest
from tracks.lifted_samples import HEIGHT_M, PITCH_DEG, lifted, standing

from pipelines.tracks.levelling import levelled, levelling_of
from schemas.layouts import layout

BODY = layout("h36m17")


def test_people_stand_upright_on_the_ground():
    levelling = levelling_of([standing(), standing(x=1.0, away=7.0)])
    assert levelling.tilt_deg == pytest.approx(PITCH_DEG, abs=0.01)
    assert levelling.ground_m == pytest.approx(HEIGHT_M, abs=0.01)
    track = levelled(standing(), levelling)
    assert track.trajectory is not None
    points = track.positions + track.trajectory[:, None]
    assert points[:, BODY.index("left_ankle"), 1] == pytest.approx(0, abs=0.01)
    trunk = points[:, BODY.index("left_shoulder")] - points[:, BODY.index("left_hip")]
    assert trunk == pytest.approx(np.tile([0, -0.5, 0], (20, 1)), abs=1e-3)


def test_without_levelling_the_axes_of_the_camera_stay():
    levelling = levelling_of([standing()], levelled=False)
    assert levelling.tilt_deg == 0
    assert levelled(standing(), levelling).positions == pytest.approx(standing().positions)


def test_without_a_trajectory_only_the_axes_change():
    track = standing()
    rootless = levelled(lifted(20, positions=track.positions, trajectory=None), levelling_of([track]))
    assert rootless.trajectory is None
    ankle, shoulder = (rootless.positions[:, BODY.index(f"left_{part}")] for part in ("ankle", "shoulder"))
    assert (ankle - shoulder)[:, [0, 2]] == pytest.approx(0, abs=1e-3)
