"""Joints and boxes that cannot be are refused or left out, and said; the others stay as they are."""

import numpy as np
import pytest

from pipelines.annotations.plausibility import check_people
from schemas.errors import UserError

SIZE = np.array([[200.0, 100.0]] * 3)


def people():
    """Three people of four joints in pictures of 200 × 100 px: (joints, which are annotated, boxes)."""
    joints = np.array([[[20.0, 30], [40, 80], [60, 20], [50, 50]]] * 3) + np.arange(3)[:, None, None]
    boxes = np.array([[10.0, 10, 70, 90]] * 3)
    return joints, np.ones((3, 4), bool), boxes


def check(joints, annotated, boxes, sizes=SIZE):
    return check_people("a.json", joints, annotated, boxes, sizes)


def test_what_is_possible_stays_as_it_is():
    joints, annotated, boxes = people()
    joints[0, 1] = 90, 110  # a foot that is guessed below the edge of the picture
    checked = check(joints, annotated, boxes)
    assert checked.annotated.all()
    assert (checked.boxes == boxes).all()
    assert checked.notes == ()


def test_shares_of_the_picture_are_refused():
    joints, annotated, boxes = people()
    with pytest.raises(UserError, match=r"a.json: keypoints are all below 2, so they are shares of the picture's size"):
        check(joints / [200, 100], annotated, boxes / [200, 100, 200, 100])


def test_joints_at_exactly_zero_are_missing():
    joints, annotated, boxes = people()
    joints[0, 2:] = 0
    checked = check(joints, annotated, boxes)
    assert checked.annotated[0].tolist() == [True, True, False, False]
    assert checked.notes == ("a.json: 2 joints are marked visible at exactly (0, 0): they count as not annotated",)


def test_joints_far_outside_are_missing_and_too_many_of_them_are_refused():
    joints, annotated, boxes = people()
    joints[0, 0] = 900, 30
    checked = check(joints, annotated, boxes)
    assert checked.annotated.sum() == 11
    assert "1 joints lie far outside their pictures" in checked.notes[0]
    with pytest.raises(UserError, match="12 of 12 joints lie outside their pictures"):
        check(joints + 500, annotated, boxes)


def test_where_the_size_is_unknown_nothing_is_outside():
    joints, annotated, boxes = people()
    assert check(joints + 5000, annotated, boxes + 5000, np.full((3, 2), np.inf)).annotated.all()


def test_people_on_one_point_are_left_out():
    joints, annotated, boxes = people()
    joints[1] = 50
    checked = check(joints, annotated, boxes)
    assert checked.annotated.any(1).tolist() == [True, False, True]
    assert "1 people have all joints on one point" in checked.notes[0]


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [-90, -90, -5, -5], [300, 10, 350, 20], [70, 90, 10, 10]])
def test_a_box_that_is_empty_or_outside_becomes_that_around_the_joints(box):
    joints, annotated, boxes = people()
    boxes[0] = box
    checked = check(joints, annotated, boxes)
    assert checked.boxes[0] == pytest.approx([16, 14, 64, 86])
    assert (checked.boxes[1:] == boxes[1:]).all()
    assert "1 people have a box that is empty, or not where their joints are" in checked.notes[0]


def test_boxes_that_are_something_else_are_refused_with_what_they_are():
    joints, annotated, boxes = people()
    joints, boxes = joints + np.array([80, 0]), boxes + np.array([80, 0, 80, 0])
    left, sides = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    # What the reader of a file with x, y, width and height makes of such boxes.
    corners = np.concatenate([left, left + boxes[:, 2:]], 1)
    middles = np.concatenate([left + sides / 2, left + sides * 1.5], 1)
    for mistaken, message in (
        (corners, "boxes are (x0, y0, x1, y1); give (x, y, width, height)"),
        (middles, "boxes begin in the middle of people; give the left and upper edge as x and y"),
        (boxes / 200, "boxes are all below 2, so they are shares of the picture's size"),
        (boxes * 2, "keypoints are of pictures 0.5"),
        (boxes - np.array([80, 0, 80, 0]), "the boxes of 3 of 3 people are not where their joints are"),
    ):
        with pytest.raises(UserError) as caught:
            check(joints, annotated, mistaken)
        assert str(caught.value).startswith(f"a.json: {message}")


def test_a_person_with_a_single_joint_keeps_its_box():
    joints, annotated, boxes = people()
    annotated[0, 1:] = False
    checked = check(joints, annotated, boxes)
    assert (checked.boxes == boxes).all()
    assert checked.notes == ()


def test_a_file_without_people():
    joints, annotated, boxes = people()
    assert check(joints[:0], annotated[:0], boxes[:0], SIZE[:0]).notes == ()
