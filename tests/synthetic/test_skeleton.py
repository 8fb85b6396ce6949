import numpy as np
import pytest

from pipelines.synthetic.skeleton import (
    ABDUCTION,
    FLEXION,
    JOINT,
    JOINTS,
    LAYOUT,
    ROTATION,
    Body,
    forward_kinematics,
    joint_limits,
    sample_body,
    sole_points,
)


@pytest.fixture
def body() -> Body:
    return sample_body(np.random.default_rng(0))


def pose(body: Body, *turns: tuple[str, int, float]) -> tuple[np.ndarray, np.ndarray]:
    angles = np.zeros((1, JOINTS, 3))
    for joint, axis, degrees in turns:
        angles[0, JOINT[joint], axis] = np.deg2rad(degrees)
    positions, rotations = forward_kinematics(body, angles, np.zeros((1, 3)))
    return positions[0], rotations[0]


def test_standing_people_have_their_stature_and_symmetry(body: Body) -> None:
    positions, rotations = pose(body)
    soles = sole_points(body, positions[None], rotations[None])
    assert soles[..., 2].max() == pytest.approx(soles[..., 2].min())
    # The head joint lies inside the head, about five per cent of stature below the crown.
    assert positions[JOINT["head"], 2] - soles[0, 0, 2] == pytest.approx(0.95 * body.stature, rel=0.03)
    np.testing.assert_allclose(positions[list(LAYOUT.mirror)] * [1, -1, 1], positions, atol=1e-12)
    assert positions[JOINT["left_hip"], 1] > 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_joint_angles_turn_in_the_anatomical_sense(body: Body, side: str) -> None:
    outwards = 1 if side == "left" else -1
    thigh, forearm = body.bone(f"{side}_knee"), body.bone(f"{side}_wrist")

    def step(positions: np.ndarray, joint: str, parent: str) -> np.ndarray:
        return positions[JOINT[f"{side}_{joint}"]] - positions[JOINT[f"{side}_{parent}"]]

    sitting, _ = pose(body, (f"{side}_hip", FLEXION, 90), (f"{side}_knee", FLEXION, 90))
    np.testing.assert_allclose(step(sitting, "knee", "hip"), [thigh, 0, 0], atol=1e-12)
    assert step(sitting, "ankle", "knee")[2] < 0
    elbow_bent, _ = pose(body, (f"{side}_elbow", FLEXION, 90))
    np.testing.assert_allclose(step(elbow_bent, "wrist", "elbow"), [forearm, 0, 0], atol=1e-12)
    aside, _ = pose(body, (f"{side}_hip", ABDUCTION, 90))
    np.testing.assert_allclose(step(aside, "knee", "hip"), [0, outwards * thigh, 0], atol=1e-12)
    _, toes_out = pose(body, (f"{side}_hip", ROTATION, 30))
    assert outwards * toes_out[JOINT[f"{side}_ankle"], 1, 0] == pytest.approx(0.5)
    _, toes_up = pose(body, (f"{side}_ankle", FLEXION, 30))
    assert toes_up[JOINT[f"{side}_ankle"], 2, 0] == pytest.approx(0.5)


def test_trunk_bends_forwards_leftwards_and_turns_left(body: Body) -> None:
    assert pose(body, ("spine", FLEXION, 30))[0][JOINT["head"], 0] > 0.1
    assert pose(body, ("spine", ABDUCTION, 30))[0][JOINT["head"], 1] > 0.1
    assert pose(body, ("pelvis", ROTATION, 90))[1][0, 1, 0] == pytest.approx(1)


def test_sampled_proportions_are_human_and_vary() -> None:
    bodies = [sample_body(np.random.default_rng(seed)) for seed in range(50)]
    statures = [body.stature for body in bodies]
    assert min(statures) >= 1.5
    assert max(statures) <= 1.95
    shares = [body.bone("left_knee") / body.stature for body in bodies]
    assert 0.01 < np.ptp(shares) < 0.04


def test_joint_limits_are_ordered_and_include_the_rest_pose() -> None:
    low, high = joint_limits()
    assert (low <= 0).all()
    assert (high >= 0).all()
    np.testing.assert_array_equal(low[list(LAYOUT.mirror)], low)
