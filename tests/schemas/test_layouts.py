"""Joint layouts have the published orders, parents and left-right pairs, and map to each other by joint name only."""

import pytest

from schemas.errors import UserError
from schemas.layouts import LAYOUTS, joint_indices, layout, shared_joints, with_feet, without_feet


@pytest.mark.parametrize("joints", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_consistent(joints):
    assert len(joints.joints) == len(set(joints.joints)) == len(joints.parents)
    assert joints.parents.count(-1) == 1
    assert sorted(joints.mirror) == list(range(len(joints)))
    assert [joints.mirror[i] for i in joints.mirror] == list(range(len(joints)))
    assert len(joints.oks_sigmas) in (0, len(joints))


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("h36m17", [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]),
        ("coco17", [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]),
        ("mpii16", [3, 4, 5, 13, 14, 15], [2, 1, 0, 12, 11, 10]),
        ("humaneva15", [2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]),
    ],
)
def test_left_and_right_are_the_published_ones(name, left, right):
    assert [list(side) for side in zip(*layout(name).left_right, strict=True)] == [left, right]


def test_human36m_parents_have_shoulders_on_the_thorax():
    assert layout("h36m17").parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)


def test_blazepose_to_coco_takes_the_published_indices():
    assert joint_indices(layout("blazepose33"), layout("coco17")) == (
        *(0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28),
    )


def test_coco_and_human36m_share_the_twelve_limb_joints():
    shared = shared_joints(layout("coco17"), layout("h36m17"))
    assert len(shared) == 12
    assert {layout("coco17").joints[i] for i, _ in shared} == {layout("h36m17").joints[j] for _, j in shared}


def test_a_layout_that_lacks_joints_is_refused_by_name():
    with pytest.raises(UserError, match="h36m17 cannot be taken from coco17, which lacks pelvis, spine"):
        joint_indices(layout("coco17"), layout("h36m17"))
    with pytest.raises(UserError, match="unknown joint layout 'coco18'; known: coco17"):
        layout("coco18")


def test_bones_have_sides():
    bones = layout("h36m17").sided_bones
    assert len(bones) == 16
    assert (1, 0, "right") in bones
    assert (11, 8, "left") in bones
    assert (8, 7, "centre") in bones


@pytest.mark.parametrize(("base", "extended"), [("coco17", "coco21"), ("h36m17", "h36m19"), ("limbs14", "limbs16")])
def test_layouts_with_feet_begin_with_the_joints_that_they_extend(base, extended):
    joints = len(layout(base))
    assert layout(extended).joints[:joints] == layout(base).joints
    assert layout(extended).parents[:joints] == layout(base).parents
    assert all("heel" in joint or "foot_index" in joint for joint in layout(extended).joints[joints:])
    assert without_feet(layout(extended)) == without_feet(layout(base)) == layout(base)


def test_poses_with_feet_are_those_of_lifters():
    assert {name: extended.name for name in LAYOUTS if (extended := with_feet(layout(name)))} == {
        "h36m17": "h36m19",
        "limbs14": "limbs16",
    }
