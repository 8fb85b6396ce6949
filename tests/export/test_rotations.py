"""Rotations are proper, align what they should, and their Euler angles do not jump."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipelines.export.rotations import best_fit, euler_deg, swing, unit

RNG = np.random.default_rng(5)
UP = np.array([0.0, 1.0, 0.0])


def directions(*shape):
    return unit(RNG.normal(size=(*shape, 3)))


def proper(rotations):
    return (
        np.allclose(rotations @ rotations.swapaxes(-1, -2), np.eye(3), atol=1e-9)
        and (np.linalg.det(rotations) > 0).all()
    )


def test_a_swing_is_the_shortest_rotation_to_a_direction():
    start, ends = directions(1)[0], directions(200)
    turns = swing(start, ends)
    assert proper(turns)
    assert np.allclose(turns @ start, ends, atol=1e-12)
    angles = np.arccos(np.clip(ends @ start, -1, 1))
    assert np.allclose(Rotation.from_matrix(turns).magnitude(), angles, atol=1e-7)


def test_a_swing_to_the_opposite_or_a_zero_vector_is_a_rotation():
    turns = swing(UP, np.array([-UP, UP, [0, 0, 0], [1e-6, -1, 0]]))
    assert proper(turns)
    assert np.allclose(turns @ UP, [-UP, UP, UP, -UP], atol=1e-5)


def test_best_fit_recovers_a_rotation_and_never_mirrors():
    start, truth = directions(3), Rotation.random(50, rng=RNG).as_matrix()
    assert np.allclose(best_fit(start, start @ truth.swapaxes(-1, -2)), truth, atol=1e-9)
    assert proper(best_fit(start, directions(200, 3)))
    assert proper(best_fit(start, -start[None]))


def test_best_fit_of_directions_on_a_line_is_a_swing():
    line = np.array([UP, -UP])
    sideways = np.array([[[1.0, 0, 0], [-1, 0, 0]], [[0, 0, 0], [0, 0, 1]]])
    turns = best_fit(line, sideways)
    assert proper(turns)
    assert np.allclose(turns[0] @ UP, [1, 0, 0])
    assert np.allclose(turns[1] @ -UP, [0, 0, 1])
    assert np.allclose(best_fit(line, np.zeros((1, 2, 3))), np.eye(3))


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "XZY", "YXZ"])
def test_euler_angles_reproduce_the_rotation_without_jumps(order):
    # Turns about the three axes at different speeds, which pass half turns and come close to gimbal lock.
    time = np.linspace(0, 6 * np.pi, 4000)
    truth = Rotation.from_rotvec(np.stack([time, 0.7 * time, 1.4 * np.sin(0.3 * time)], axis=-1)).as_matrix()
    angles = euler_deg(truth, order)
    assert np.allclose(Rotation.from_euler(order, angles, degrees=True).as_matrix(), truth, atol=1e-9)
    assert abs(np.diff(angles, axis=0)).max() < 20
    assert euler_deg(truth[:1], order).shape == (1, 3)


def test_gimbal_lock_gives_no_warning(recwarn):
    locked = Rotation.from_euler("ZXY", [[30, 90, 10], [30, 90, 10]], degrees=True).as_matrix()
    again = Rotation.from_euler("ZXY", euler_deg(locked, "ZXY"), degrees=True).as_matrix()
    assert np.allclose(again, locked, atol=1e-6)
    assert not recwarn
