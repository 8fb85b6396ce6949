"""The stage without Ray: images to people, in the annotations' joints."""

import numpy as np
import pyarrow as pa
import pytest
from cluster.store_proxy import BUCKET
from evaluate_detector.annotated_samples import coco_set, paint, save

from pipelines.evaluate_detector import estimate
from pipelines.evaluate_detector.estimate import EstimateKeypoints
from pipelines.evaluate_detector.plan import TASKS
from schemas.job_config import PluginConfig
from schemas.layouts import layout

COCO = layout("coco17").joints


def stage(joints=COCO, partial=False, expected=None, **options) -> EstimateKeypoints:
    config = PluginConfig(name="painted_joints:PaintedJoints", **options)
    return EstimateKeypoints(config, 1, "cpu", tuple(joints), partial, expected)


def tasks(folder, document, boxes=True):
    rows = []
    for image in document["images"]:
        people = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        boxes_of_image = {
            "annotations": [person["id"] for person in people],
            "boxes": np.array([np.add(person["bbox"], (0, 0, *person["bbox"][:2])) for person in people]).ravel(),
            "box_scores": [0.5] * len(people),
        }
        row = {"image_id": image["id"], "image": f"{folder}/images/{image['file_name']}"}
        size = {"width": image["width"], "height": image["height"]}
        rows.append(row | size | (boxes_of_image if boxes else dict.fromkeys(boxes_of_image)))
    return pa.Table.from_pylist(rows, schema=TASKS)


def looked_at(batches):
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("boxes", [True, False])
@pytest.mark.parametrize("group_bytes", [1, 10**5, 10**8])
def test_every_joint_is_where_it_is_annotated(boxes, group_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "GROUP_BYTES", group_bytes)
    document = coco_set(tmp_path)
    rows = looked_at(stage()(tasks(tmp_path, document, boxes)))
    assert [row["image_id"] for row in rows] == [100, 101, 102, 103, 104, 105]
    keypoints = [person["keypoints"] for row in rows for person in row["people"]]
    truth = [np.reshape(person["keypoints"], (17, 3))[:, :2] + 0.5 for person in document["annotations"]]
    np.testing.assert_array_equal(np.reshape(keypoints, (-1, 17, 2)), truth)
    ids = [person["annotation"] for row in rows for person in row["people"]]
    assert ids == ([person["id"] for person in document["annotations"]] if boxes else [-1] * len(ids))
    assert {person["score"] for row in rows for person in row["people"]} == {0.5 if boxes else 1.0}


def test_unreadable_images_are_rows_with_a_reason(tmp_path):
    document = coco_set(tmp_path)
    (tmp_path / "images" / "000.png").unlink()
    whole = (tmp_path / "images" / "001.png").read_bytes()
    (tmp_path / "images" / "001.png").write_bytes(whole[: len(whole) // 2])
    save(tmp_path / "images" / "002.png", paint([], 20, 30))
    rows = looked_at(stage()(tasks(tmp_path, document)))
    assert [row["error"] for row in rows] == [
        "there is no such file",
        "cannot be decoded: damaged, cut short, or no image",
        "is 30 × 20 px, the annotations say 64 × 64",
        *[None] * 3,
    ]
    assert [len(row["people"]) for row in rows] == [0, 0, 0, 2, 1, 2]


def test_joints_are_matched_by_name(tmp_path):
    document = coco_set(tmp_path)
    [first] = looked_at(stage(["right_ankle", "nose"])(tasks(tmp_path, document)))[0]["people"]
    truth = np.reshape(document["annotations"][0]["keypoints"], (17, 3))[:, :2] + 0.5
    np.testing.assert_array_equal(np.reshape(first["keypoints"], (2, 2)), truth[[16, 0]])


def test_joints_that_the_detector_lacks_are_nan_or_an_error(tmp_path):
    work = tasks(tmp_path, coco_set(tmp_path, images=1))
    [row] = looked_at(stage(["nose", "head_top"])(work))
    assert row["user_error"] == (
        "detector: finds joints of layout coco17, which lacks head_top of the annotations; "
        "give another detector or other annotations"
    )
    [row] = looked_at(stage(["nose", "head_top"], partial=True)(work))
    assert np.isnan(row["people"][0]["keypoints"]).tolist() == [False, False, True, True]
    [row] = looked_at(stage(["pelvis", "head_top"], partial=True)(work))
    assert "lacks pelvis, head_top" in row["user_error"]


def test_an_output_is_not_continued_with_other_weights(tmp_path):
    [row] = looked_at(stage(expected="0" * 64)(tasks(tmp_path, coco_set(tmp_path, images=1))))
    assert row["user_error"].startswith("detector.weights: SHA-256 is ca978112ca1b…, the output was begun with 0000")


def test_joints_that_are_not_finite_count_as_not_found(tmp_path):
    [row] = looked_at(stage(shift_px=float("nan"))(tasks(tmp_path, coco_set(tmp_path, images=1))))
    assert set(row["people"][0]["keypoints"]) == {0.0}
    assert set(row["people"][0]["keypoint_scores"]) == {0.0}


def test_a_lost_store_is_not_a_failure_of_an_image(s3, tmp_path):
    s3.close()
    work = tasks(tmp_path, coco_set(tmp_path, images=2))
    lost = pa.array([f"s3://{BUCKET}/lost/{number}.png" for number in range(len(work))])
    [row] = looked_at(stage()(work.set_column(work.schema.get_field_index("image"), "image", lost)))
    assert "has failed for 1 s" in row["run_failed"]
    assert row["error"] is None
