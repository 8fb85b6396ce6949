import copy
import json

import numpy as np
import pytest

from pipelines.annotations.coco import clip_boxes, in_layout, read_coco
from schemas.errors import UserError
from schemas.layouts import LAYOUTS

DOCUMENT = {
    "images": [
        {"id": 7, "file_name": "b.jpg", "width": 100, "height": 80},
        {"id": 3, "file_name": "a.jpg", "width": 60, "height": 50},
        {"id": 9, "file_name": "nobody.jpg", "width": 60, "height": 50},
    ],
    "categories": [
        {"id": 4, "name": "dog"},
        {"id": 2, "name": "person", "keypoints": ["Nose", "left eye", "right_eye"]},
    ],
    "annotations": [
        {"id": 12, "image_id": 7, "category_id": 2, "bbox": [10, 20, 30, 40], "area": 600.5, "iscrowd": 0,
         "keypoints": [12, 22, 2, 14.5, 21, 1, 0, 0, 0], "segmentation": [[1, 2, 3]]},
        {"id": 11, "image_id": 3, "category_id": 2, "bbox": [0, 0, 60, 50], "area": 9, "iscrowd": 1,
         "keypoints": [0, 0, 0, 0, 0, 0, 0, 0, 0], "segmentation": {"counts": [1], "size": [50, 60]}},
        {"id": 13, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12},
        {"id": 14, "image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4], "area": 12},
    ],
}  # fmt: skip


def write(folder, document):
    uri = str(folder / "people.json")
    (folder / "people.json").write_text(json.dumps(document))
    return uri


def test_people_are_rows_by_image(tmp_path):
    people = read_coco(write(tmp_path, DOCUMENT))
    assert [image.file_name for image in people.images] == ["a.jpg", "b.jpg", "nobody.jpg"]
    assert people.ids.tolist() == [11, 12, 13]
    assert [people.ids[people.rows_of(image)].tolist() for image in range(3)] == [[11], [12, 13], []]
    assert people.boxes[1].tolist() == [10, 20, 40, 60]
    assert people.areas.tolist() == [9, 600.5, 12]
    assert people.keypoints[1].tolist() == [[12, 22], [14.5, 21], [0, 0]]
    assert people.visibility.tolist() == [[0, 0, 0], [2, 1, 0], [0, 0, 0]]
    assert people.crowds.tolist() == [True, False, False]
    assert people.with_joints.tolist() == [False, True, False]
    assert people.joints == ("nose", "left_eye", "right_eye")
    assert people.category_id == 2


def test_joints_that_are_no_layout_are_reported(tmp_path):
    with pytest.raises(UserError, match="no layout has these joints in this order: nose, left_eye, right_eye"):
        _ = read_coco(write(tmp_path, DOCUMENT)).layout


def test_what_tools_leave_out_is_derived(tmp_path):
    document = copy.deepcopy(DOCUMENT)
    for image in document["images"]:
        del image["width"], image["height"]
    first, _, second, _ = document["annotations"]
    del first["area"], first["bbox"], second["area"]
    people = read_coco(write(tmp_path, document))
    assert [(image.width, image.height) for image in people.images] == [(0, 0)] * 3
    assert people.boxes[1] == pytest.approx([11.75, 20.9, 14.75, 22.1]), "around the joints, with flesh"
    assert people.areas[1:] == pytest.approx([3 * 1.2, 12])
    assert np.isfinite(people.inside()).all()


def test_ids_may_be_text(tmp_path):
    document = copy.deepcopy(DOCUMENT)
    for image in document["images"]:
        image["id"] = str(image["id"])
    document["annotations"][0]["image_id"] = "7"
    assert read_coco(write(tmp_path, document)).ids.tolist() == [11, 12, 13]


def test_categories_with_the_same_joints_are_all_people(tmp_path):
    document = copy.deepcopy(DOCUMENT)
    joints = document["categories"][1]["keypoints"]
    document["categories"] = [
        {"id": n, "name": name, "keypoints": joints} for n, name in ((2, "runner"), (4, "jumper"))
    ]
    assert read_coco(write(tmp_path, document)).ids.tolist() == [11, 12, 13, 14]
    document["categories"][1]["keypoints"] = joints[:2]
    with pytest.raises(UserError, match="or several the same; 2 have, runner, jumper"):
        read_coco(write(tmp_path, document))


def test_annotations_of_a_category_without_joints_are_named(tmp_path):
    document = copy.deepcopy(DOCUMENT)
    document["annotations"] = [annotation | {"category_id": 4} for annotation in document["annotations"]]
    with pytest.raises(UserError, match="all are of category 4, but the joints are named in category 2"):
        read_coco(write(tmp_path, document))


@pytest.mark.parametrize(
    ("joints", "lacking", "left_out"),
    [
        (LAYOUTS["coco17"].joints[:13], 4, "none"),
        ((*LAYOUTS["coco17"].joints, "head", "neck", "hip", "tail"), 0, "head, neck, hip, tail"),
        (tuple(reversed(LAYOUTS["coco17"].joints)), 0, "none"),
    ],
)
def test_joints_are_taken_by_name(joints, lacking, left_out, tmp_path):
    keypoints = [value for number in range(len(joints)) for value in (number + 1, 2 * number + 1, 2)]
    document = with_annotation(keypoints=keypoints, bbox=[0, 0, 22, 44]) | {
        "categories": [{"id": 2, "name": "person", "keypoints": joints}]
    }
    document["annotations"] = document["annotations"][:1]
    people = in_layout(read_coco(write(tmp_path, document)))
    assert people.layout.name == "coco17"
    assert (people.visibility == 0).sum() == lacking
    place = joints.index("left_elbow")
    assert people.keypoints[0, people.layout.index("left_elbow")].tolist() == [place + 1, 2 * place + 1]
    assert people.notes[-1].endswith(f"left out: {left_out}")


def test_a_file_without_people(tmp_path):
    people = read_coco(write(tmp_path, DOCUMENT | {"annotations": []}))
    assert (len(people), people.keypoints.shape) == (0, (0, 3, 2))


def without(path):
    """The document less what lies at a path."""
    document = copy.deepcopy(DOCUMENT)
    place = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return document


def with_annotation(**changes):
    document = copy.deepcopy(DOCUMENT)
    document["annotations"][0] |= changes
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], "is not in COCO's format: has no list images, annotations, categories"),
        (without(["annotations"]), "is not in COCO's format: has no list annotations"),
        (without(["categories", 1, "keypoints"]), "one must have the names of its joints"),
        (without(["images", 1, "file_name"]), "images: number 1: has no 'file_name'"),
        (without(["annotations", 2, "image_id"]), r"annotations: number 2 \(id 13\): has no 'image_id'"),
        (with_annotation(keypoints=[1, 2]), r"number 0 \(id 12\): keypoints must be 3 times x, y, visibility, not 2"),
        (with_annotation(keypoints=[1, 2, 3] * 3), "visibility must be 0 "),
        (with_annotation(bbox=[1, 2, 3]), r"number 0 \(id 12\): not enough values"),
        (with_annotation(bbox=[1, 2, 3, float("nan")]), "not finite"),
        (with_annotation(area="large"), r"number 0 \(id 12\): "),
        (with_annotation(image_id=8), "image_id 8 is none of the images"),
        (with_annotation(id=13), "annotations: two have the same id"),
        (DOCUMENT | {"annotations": ["x"]}, "annotations: number 0: "),
        (DOCUMENT | {"images": DOCUMENT["images"] * 2}, "images: two have the same id"),
    ],
)
def test_what_is_wrong_is_reported_in_a_line(document, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        read_coco(write(tmp_path, document))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/people.json: ")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\x00", b"[" * 200_000])
def test_a_file_that_is_not_json_is_an_error(data, tmp_path):
    (tmp_path / "people.json").write_bytes(data)
    with pytest.raises(UserError, match="is not json"):
        read_coco(str(tmp_path / "people.json"))
    with pytest.raises(UserError, match=r"missing\.json: cannot be read: No such file"):
        read_coco(str(tmp_path / "missing.json"))


def test_boxes_end_at_the_last_pixel():
    boxes = np.array([[10, 20, 40, 60], [-5, -5, 25, 15], [90, 70, 130, 99], [200, 10, 220, 30]], np.float32)
    clipped = clip_boxes(boxes, np.tile(np.array([[100, 80]], np.float32), (4, 1)))
    assert clipped.tolist() == [[10, 20, 39, 59], [0, 0, 29, 19], [90, 70, 99, 79], [200, 10, 200, 29]]


def test_real_annotations(shared_data):
    people = read_coco(str(shared_data / "coco_tiny" / "test_coco.json"))
    assert (len(people), len(people.images), people.layout.name) == (14, 4, "coco17")
    assert people.with_joints.sum() == 12
    assert (people.visibility > 0).sum() == 181


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        ("images", {"width": 10**18}, "width must be 0 .unknown. to 16384 px, not 1000000000000000000"),
        ("images", {"height": -5}, "height must be 0 .unknown. to 16384 px, not -5"),
        ("images", {"width": float("inf")}, "cannot convert float infinity to integer"),
        ("images", {"id": 10**400}, "the id 1000000000000000000000000000000000000000… has more than 64 bits"),
        ("annotations", {"id": 2**70}, "has more than 64 bits"),
    ],
    ids=["a wide image", "a negative height", "an endless width", "an endless id", "the id of a person"],
)
def test_numbers_that_results_cannot_hold_are_one_line(tmp_path, part, changes, reason):
    document = copy.deepcopy(DOCUMENT)
    document[part][0] |= changes
    with pytest.raises(UserError, match=reason):
        read_coco(write(tmp_path, document))
