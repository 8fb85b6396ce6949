"""Joint angles of bodies whose angles are known."""

import pytest
import torch

from pipelines.pose.joint_angles import joint_angles_deg, joint_angles_of
from schemas.layouts import LAYOUTS, layout

# A person who stands upright with hanging arms and looks along z, m; x right, y down. Left is at positive x.
STANDING = {
    "shoulder": (0.2, -0.5, 0.0),
    "elbow": (0.2, -0.2, 0.0),
    "wrist": (0.2, 0.05, 0.0),
    "hip": (0.2, 0.0, 0.0),
    "knee": (0.2, 0.4, 0.0),
    "ankle": (0.2, 0.8, 0.0),
    "foot_index": (0.2, 0.8, -0.2),
}


def angles_of(name, **moved):
    """The angles of the standing person, of whom some joints of the left side are moved."""
    body = layout(name)
    positions = torch.zeros(1, len(body), 3)
    for index, joint in enumerate(body.joints):
        side, _, part = joint.partition("_")
        if part in STANDING:
            x, y, z = moved.get(part, STANDING[part]) if side == "left" else STANDING[part]
            positions[0, index] = torch.tensor([x if side == "left" else -x, y, z])
    values = joint_angles_deg(positions, body)[0].tolist()
    return dict(zip((angle.name for angle in joint_angles_of(body)), values, strict=True))


def test_all_angles_of_a_person_who_stands_upright_are_zero():
    assert angles_of("blazepose33") == pytest.approx(dict.fromkeys(angles_of("blazepose33"), 0), abs=1e-3)


def test_a_raised_thigh_bends_hip_and_knee():
    angles = angles_of("limbs12", knee=(0.2, 0.0, -0.4), ankle=(0.2, 0.4, -0.4))
    assert angles["left_hip_flexion"] == pytest.approx(90)
    assert angles["left_knee_flexion"] == pytest.approx(90)
    assert angles["right_knee_flexion"] == pytest.approx(0, abs=1e-3)


def test_an_arm_held_sideways_is_elevated_by_90_degrees():
    angles = angles_of("limbs12", elbow=(0.5, -0.5, 0.0), wrist=(0.5, -0.8, 0.0))
    assert angles["left_shoulder_elevation"] == pytest.approx(90)
    assert angles["left_elbow_flexion"] == pytest.approx(90)


def test_toes_that_point_up_are_dorsiflexion():
    assert angles_of("blazepose33", foot_index=(0.2, 0.6, -0.2))["left_ankle_dorsiflexion"] == pytest.approx(45)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_angles_of_the_joints_that_it_has(name):
    has_feet = "left_foot_index" in layout(name).joints
    assert len(joint_angles_of(layout(name))) == (10 if has_feet else 8)


def test_angles_do_not_depend_on_where_a_person_stands_and_how_large_they_are():
    body = layout("limbs12")
    positions = torch.randn(20, len(body), 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        joint_angles_deg(positions * 1.3 + 2, body), joint_angles_deg(positions, body), atol=1e-2, rtol=0
    )
