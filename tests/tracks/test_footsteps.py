"""Footsteps: where the ankles of a person who walks stand still."""

import numpy as np
import pytest
from tracks.lifted_samples import lifted, walking_away

from pipelines.tracks.footsteps import footsteps

UP = np.array([0.0, -1.0, 0.0])


def test_who_walks_leaves_a_footstep_at_each_place_a_foot_stood():
    places, seconds = footsteps(walking_away(steps=6), UP)
    assert len(places) == 6
    assert np.sort(places[:, 2]) == pytest.approx(4 + 0.7 * np.arange(6), abs=0.05)
    assert places[:, 1] == pytest.approx(1.5, abs=0.01)
    assert seconds == pytest.approx(0.5, abs=0.15)


def test_who_stands_for_long_leaves_one_each_second():
    track = walking_away(steps=1, seconds_each=4.0)
    assert len(footsteps(track, UP)[0]) == pytest.approx(8, abs=1)  # two feet


def test_feet_that_were_not_seen_leave_none():
    scores = np.zeros((len(walking_away(steps=6)), 17), np.float32)
    assert len(footsteps(walking_away(steps=6, joint_scores=scores), UP)[0]) == 0


def test_without_a_trajectory_there_are_none():
    assert len(footsteps(lifted(trajectory=None), UP)[0]) == 0
