"""Trouble with annotation files that people report to the makers of annotation tools and of detectors."""

import json

import numpy as np
import pytest

from pipelines.annotations.coco import in_layout, read_coco
from pipelines.pose.in_picture import near_picture, why_not_pixels
from schemas.errors import UserError
from schemas.layouts import LAYOUTS

JOINTS = list(LAYOUTS["coco17"].joints)
WALKER = [value for number in range(17) for value in (20.0 + 3 * number, 30.0 + 2 * number, 2)]


def coco(folder, *people, category=None):
    """The people of a file with one picture of 160 × 120 px."""
    common = {"image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [15, 25, 60, 45], "area": 900.0}
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 160, "height": 120}],
        "annotations": [{"id": number, **common, **person} for number, person in enumerate(people, 1)],
        "categories": [{"id": 1, "name": "person", "keypoints": JOINTS} if category is None else category],
    }
    file = folder / "people.json"
    file.write_text(json.dumps(document))
    return in_layout(read_coco(str(file)))


def test_a_person_whom_a_tool_exports_without_joints_is_no_person(tmp_path):
    tracked = {"keypoints": [], "num_keypoints": 0, "bbox": [0, 0, 0, 0], "area": 0, "attributes": {"track_id": 0}}
    people = coco(tmp_path, {"keypoints": WALKER}, tracked)
    assert people.with_joints.tolist() == [True, False]


@pytest.mark.parametrize("people", [(), ({"segmentation": [[1, 2, 3, 4, 5, 6]]},)])
def test_a_file_of_points_without_a_skeleton_says_what_is_missing(tmp_path, people):
    with pytest.raises(UserError, match=r"people.json: .*joints") as error:
        coco(tmp_path, *people, category={"id": 1, "name": "point"})
    assert "\n" not in str(error.value)


def test_hidden_joints_count_and_those_that_are_not_labeled_do_not(tmp_path):
    marked = list(WALKER)
    marked[2], marked[5], marked[8] = 1, 0, 2  # nose hidden, left eye not labeled, right eye visible
    people = coco(tmp_path, {"keypoints": marked})
    assert people.visibility[0, :3].tolist() == [1, 0, 2]


def test_joints_that_are_no_numbers_are_one_line(tmp_path):
    unknown = [float("nan"), float("nan"), 2, *WALKER[3:]]
    with pytest.raises(
        UserError, match=r"people.json: annotations: number 0 \(id 1\): holds a number that is not finite"
    ) as error:
        coco(tmp_path, {"keypoints": unknown})
    assert "\n" not in str(error.value)


def test_joints_that_are_not_labeled_may_have_any_place(tmp_path):
    people = coco(tmp_path, {"keypoints": [-1, -1, 0, 9999, 9999, 0, *WALKER[6:]]})
    assert people.visibility[0].tolist() == [0, 0, *[2] * 15]


def test_a_joint_just_outside_the_picture_is_still_one():
    at = np.array([[0.5 * 640, 1.01 * 480], [0.5 * 640, 1.6 * 480]])
    assert near_picture(at, np.array([[640.0, 480.0]])).tolist() == [True, False]


def test_somebody_upside_down_is_somebody():
    standing = np.array(WALKER, float).reshape(17, 3)[:, :2] * 4
    assert why_not_pixels(standing, 640, 480) is None
    assert why_not_pixels((640, 480) - standing, 640, 480) is None
