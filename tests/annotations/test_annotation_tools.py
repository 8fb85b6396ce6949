"""COCO files as annotation tools export them: each is understood, or its real problem is named.

The documents are made here after what each tool is known to write; none is a tool's own file.
"""

import json

import pytest

from pipelines.annotations.coco import in_layout, read_coco
from schemas.errors import UserError
from schemas.layouts import LAYOUTS

JOINTS = LAYOUTS["coco17"].joints
TRIPLES = [value for number in range(17) for value in (20.0 + 3 * number, 30.0 + 2 * number, 2)]
IMAGE = {"id": 1, "file_name": "walk_0001.jpg", "width": 160, "height": 120}
PERSON = {
    **{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 900.0, "bbox": [15, 25, 60, 45]},
    **{"num_keypoints": 17, "keypoints": TRIPLES},
}
CATEGORY = {"id": 1, "name": "person", "supercategory": "", "keypoints": list(JOINTS), "skeleton": [[1, 2]]}


def document(image=None, person=None, categories=None, **more):
    return {
        "images": [IMAGE | (image or {})],
        "annotations": [PERSON | (person or {})],
        "categories": categories or [CATEGORY],
        **more,
    }


def without(entry, *names):
    return {name: value for name, value in entry.items() if name not in names}


UNDERSTOOD = {
    "CVAT": document(
        image={"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0},
        person={"segmentation": [], "attributes": {"occluded": False, "track_id": 0, "keyframe": True}},
        licenses=[{"name": "", "id": 0, "url": ""}],
        info={"contributor": "", "version": ""},
    ),
    "CVAT, points of the skeleton out of order": document(
        person={"keypoints": [v for n in reversed(range(17)) for v in TRIPLES[3 * n : 3 * n + 3]]},
        categories=[CATEGORY | {"keypoints": list(reversed(JOINTS))}],
    ),
    "Roboflow": document(
        image={"id": 0, "file_name": "walk_0001_jpg.rf.3f2a.jpg", "extra": {"name": "walk_0001.jpg"}},
        person={"id": 0, "image_id": 0, "segmentation": []},
        categories=[{"id": 0, "name": "people", "supercategory": "none"}, CATEGORY | {"supercategory": "people"}],
    ),
    "V7": document(person={"extra": {}, "num_keypoints": 17.0}, info={"url": "n/a"}, tag_categories=[]),
    "Label Studio": document(
        image=without(IMAGE, "id") | {"id": "1"},
        person={"image_id": "1", "ignore": 0, "segmentation": [], "num_keypoints": 17},
    ),
    "ids of categories as texts": document(
        person={"category_id": "1", "iscrowd": "0"}, categories=[CATEGORY | {"id": "1"}]
    ),
    "names with hyphens": document(categories=[CATEGORY | {"keypoints": [name.replace("_", "-") for name in JOINTS]}]),
    "names in capitals": document(
        categories=[CATEGORY | {"keypoints": ["".join(part.title() for part in name.split("_")) for name in JOINTS]}]
    ),
    "Supervisely": document(person={"id": 2**40, "segmentation": [[1, 2, 3, 4, 5, 6]]}),
    "names in words": document(categories=[CATEGORY | {"keypoints": [name.replace("_", " ") for name in JOINTS]}]),
    "COCO-Annotator": document(
        image={"dataset_id": 3, "path": "/datasets/walk_0001.jpg", "num_annotations": 1, "annotated": True},
        person={"isbbox": False, "color": "#ff0000", "metadata": {}, "dataset_id": 3},
    ),
    "joints alone": document() | {"annotations": [without(PERSON, "bbox", "area", "iscrowd", "num_keypoints")]},
    "visibility as true and false": document(person={"keypoints": [1 if v == 2 else v for v in TRIPLES]}),
}
REFUSED = {
    "boxes alone": (document(categories=[without(CATEGORY, "keypoints")]), "its instances_\\*.json have no joints"),
    "one category a joint (Label Studio's points)": (
        document(categories=[{"id": n, "name": name} for n, name in enumerate(JOINTS, 1)]),
        "one must have the names of its joints",
    ),
    "YOLO's shares of the picture": (
        document(person={"keypoints": [v if n % 3 == 2 else v / 160 for n, v in enumerate(TRIPLES)]}),
        "keypoints are all below 2, so they are shares of the picture's size",
    ),
    "another category than that of the joints": (
        document(person={"category_id": 7}),
        "all are of category 7, but the joints are named in category 1",
    ),
    "a person of other joints than named": (
        document(person={"keypoints": TRIPLES[:39]}),
        "keypoints must be 17 times x, y, visibility, not 39 numbers",
    ),
    "joints of a hand": (
        document(categories=[CATEGORY | {"keypoints": [f"finger{n}" for n in range(17)]}]),
        "no layout has these joints in this order: finger0",
    ),
    "labels of pictures of four times the size": (
        document(person={"keypoints": [v if n % 3 == 2 else 8 * v for n, v in enumerate(TRIPLES)]}),
        "17 of 17 joints lie outside their pictures",
    ),
}


def write(folder, content):
    (folder / "people.json").write_text(json.dumps(content))
    return str(folder / "people.json")


@pytest.mark.parametrize("content", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_what_tools_write_is_understood(content, tmp_path):
    people = in_layout(read_coco(write(tmp_path, content)))
    assert people.layout.name == "coco17"
    assert people.with_joints.tolist() == [True]
    assert people.keypoints[0, 5].tolist() == [35, 40], "the left shoulder"
    assert people.areas[0] > 0


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_with_its_reason(content, message, tmp_path):
    with pytest.raises(UserError, match=message) as refused:
        in_layout(read_coco(write(tmp_path, content)))
    assert "\n" not in str(refused.value)
