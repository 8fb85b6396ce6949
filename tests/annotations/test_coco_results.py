import json

import numpy as np
import pytest

from pipelines.annotations.coco_results import read_boxes, results, write_results
from schemas.errors import UserError

FOUND = [
    {"image_id": 5, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.9},
    {"image_id": 5, "category_id": 3, "bbox": [1, 2, 30, 40], "score": 0.8},
    {"image_id": 2, "category_id": 1, "bbox": [0.5, 0, 3, 4], "score": 0.1},
]


def test_boxes_of_people(tmp_path):
    (tmp_path / "boxes.json").write_text(json.dumps(FOUND))
    boxes = read_boxes(str(tmp_path / "boxes.json"), category_id=1)
    assert boxes.image_ids.tolist() == [5, 2]
    np.testing.assert_allclose(boxes.boxes, [[1, 2, 31, 42], [0.5, 0, 3.5, 4]])
    np.testing.assert_allclose(boxes.scores, [0.9, 0.1])
    assert len(read_boxes(str(tmp_path / "boxes.json"), 1, min_score=0.5).scores) == 1
    assert read_boxes(str(tmp_path / "boxes.json"), 8).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "is a list of boxes"),
        ([{"image_id": 5, "category_id": 1, "score": 1}], "number 0: has no 'bbox'"),
        ([*FOUND, 3], "number 3: "),
        ([{"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, float("inf")], "score": 1}], "image 5 .* not finite"),
    ],
)
def test_what_is_wrong_is_reported_in_a_line(document, message, tmp_path):
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        read_boxes(str(tmp_path / "boxes.json"), 1)


def test_results_are_plain_numbers(tmp_path):
    keypoints = np.array([[[1.5, 2.25], [3, 4]]], np.float32)
    entries = results(np.array([5]), keypoints, np.array([[1, 0.5]], np.float32), np.array([0.7]), 1)
    write_results(str(tmp_path / "found.json"), entries)
    assert json.loads((tmp_path / "found.json").read_text()) == [
        {"image_id": 5, "category_id": 1, "keypoints": [1.5, 2.25, 1.0, 3.0, 4.0, 0.5], "score": 0.7}
    ]
