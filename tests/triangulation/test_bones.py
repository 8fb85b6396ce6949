"""Bones keep their lengths; ends of bones that cannot be are left out."""

import numpy as np
from triangulation.scenes import LIMBS, walk_of_limbs

from pipelines.triangulation.bones import with_constant_lengths, without_impossible
from pipelines.triangulation.robust import Points

WALK = walk_of_limbs(20)
WRIST, ELBOW = LIMBS.index("left_wrist"), LIMBS.index("left_elbow")


def test_a_wrist_that_is_a_metre_away_is_left_out():
    positions = WALK.copy()
    positions[3, WRIST] += 1.0
    points = without_impossible(Points(positions, np.ones((20, 12)), np.full((20, 12), 4)), LIMBS)
    assert np.argwhere(points.views == 0).tolist() == [[3, WRIST]]
    assert np.isnan(points.positions[3, WRIST]).all()


def test_bones_have_their_median_length_and_joints_hardly_move():
    noisy = WALK + np.random.default_rng(0).normal(0, 0.01, WALK.shape)
    moved = with_constant_lengths(noisy, LIMBS)
    assert np.ptp(np.linalg.norm(moved[:, WRIST] - moved[:, ELBOW], axis=-1)) < 0.002
    assert np.linalg.norm(moved - WALK, axis=-1).mean() < np.linalg.norm(noisy - WALK, axis=-1).mean()
    assert np.isnan(with_constant_lengths(np.where(WALK > 1.4, np.nan, WALK), LIMBS)).any()
