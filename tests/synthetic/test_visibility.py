import numpy as np
import pytest

from pipelines.synthetic.cameras import View, matrix_to_quaternion
from pipelines.synthetic.motion import Motion, generate_motion
from pipelines.synthetic.skeleton import FLEXION, JOINT, JOINTS, forward_kinematics, sample_body
from pipelines.synthetic.visibility import visible_joints
from schemas.cameras import Intrinsics


@pytest.fixture
def standing() -> Motion:
    body = sample_body(np.random.default_rng(0))
    # The arms are half raised, because hanging ones would hide the hips.
    angles = np.zeros((1, JOINTS, 3))
    angles[0, [JOINT["left_shoulder"], JOINT["right_shoulder"]], FLEXION] = np.deg2rad(60)
    positions, rotations = forward_kinematics(body, angles, np.array([[0.0, 0.0, 1.0]]))
    return Motion("stand", 30.0, body, positions.astype(np.float32), rotations.astype(np.float32))


def camera_at(x: float, y: float) -> View:
    forward = -np.array([x, y, 0.0]) / np.hypot(x, y)
    up = np.array([0.0, 0.0, 1.0])
    orientation = matrix_to_quaternion(np.stack([np.cross(forward, up), -up, forward], axis=1))
    return View("C0", Intrinsics(fx=600, fy=600, cx=320, cy=320), orientation, (x, y, 1.2), 640, 640)


def test_all_limbs_are_seen_from_the_front_and_from_behind(standing: Motion) -> None:
    for x in (5.0, -5.0):
        assert visible_joints([standing], camera_at(x, 0.0))[0].all()


def test_the_far_side_is_hidden_from_the_side(standing: Motion) -> None:
    visible = visible_joints([standing], camera_at(0.0, 5.0))[0][0]
    for part in ("shoulder", "hip", "knee", "ankle", "elbow", "wrist"):
        assert visible[JOINT[f"left_{part}"]]
    for part in ("shoulder", "hip", "knee", "ankle"):
        assert not visible[JOINT[f"right_{part}"]]


def test_people_hide_one_another(standing: Motion) -> None:
    behind = standing.moved(-1.0, 0.0)
    visible_in_front, visible_behind = visible_joints([standing, behind], camera_at(5.0, 0.0))
    assert visible_in_front.all()
    assert visible_behind.mean() < 0.5
    beside = standing.moved(0.0, 1.5)
    assert all(visible.all() for visible in visible_joints([standing, beside], camera_at(5.0, 0.0)))


def test_visibility_has_one_value_per_frame_and_joint() -> None:
    motion = generate_motion(0, 1.0, 30.0, "walk")
    assert visible_joints([motion], camera_at(5.0, 0.0))[0].shape == (30, JOINTS)
