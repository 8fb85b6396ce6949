"""The level ground of a video: who stands upright in front of a tilted camera stands upright in the world."""

import numpy as np
import pytest
from tracks.lifted_samples import HEIGHT_M, PITCH_DEG, lifted, standing, walking_away

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


def test_who_walks_away_from_a_tilted_camera_walks_away_on_the_ground_even_if_the_pose_leans():
    levelling = levelling_of([walking_away(steps=8, pitch_deg=20, lean_deg=10)])
    assert levelling.tilt_deg == pytest.approx(20, abs=1)
    assert levelling.ground_m == pytest.approx(1.5, abs=0.1)
    assert levelling.ground_confidence > 0.9
    assert levelling.footsteps == 8
    track = levelled(walking_away(steps=8, pitch_deg=20, lean_deg=10), levelling)
    assert track.trajectory is not None
    assert np.ptp(track.trajectory[:, 1]) < 0.1  # hips stay as high as they are
    assert np.ptp(track.trajectory[:, 2]) == pytest.approx(0.7 * 8, abs=0.3)


def test_footsteps_on_one_spot_leave_the_tilt_as_upright_people_show_it():
    levelling = levelling_of([standing()])
    assert levelling.tilt_deg == pytest.approx(PITCH_DEG, abs=0.5)
    assert levelling.footsteps > 0


def test_without_footsteps_the_ground_is_where_the_lowest_joints_are_and_nothing_vouches_for_it():
    unseen = np.zeros((20, 17), np.float32)
    levelling = levelling_of([standing(joint_scores=unseen)])
    assert levelling.ground_m == pytest.approx(HEIGHT_M, abs=0.01)
    assert (levelling.footsteps, levelling.ground_confidence) == (0, 0.0)


def test_a_jump_does_not_lift_the_ground():
    track = walking_away(steps=10)
    assert track.trajectory is not None
    jumped = track.trajectory.copy()
    jumped[60:75, 1] -= 0.6  # camera space has y down
    levelling = levelling_of([lifted(len(track), positions=track.positions, trajectory=jumped)])
    assert levelling.ground_m == pytest.approx(1.5, abs=0.05)
    assert levelling.tilt_deg == 0


def test_feet_do_not_move_the_ground():
    plain = lifted(30)
    below = plain.positions[:, [6, 3]] + np.array([0, 1, 0], np.float32)
    feet = lifted(30, layout="h36m19", positions=np.concatenate([plain.positions, below], axis=1))
    assert levelling_of([feet]).ground_m == levelling_of([plain]).ground_m
