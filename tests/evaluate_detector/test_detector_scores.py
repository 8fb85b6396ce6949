"""Predictions scored, without Ray: the stages are called as they are."""

import json

import numpy as np
import pyarrow as pa
import pytest
from evaluate_detector.annotated_samples import coco_set, mpii_set, paint, save

from pipelines.evaluate_detector.estimate import EstimateKeypoints
from pipelines.evaluate_detector.ledger import read_ledger, read_predictions
from pipelines.evaluate_detector.plan import TASKS, Plan, plan
from pipelines.evaluate_detector.score import Scores, score
from pipelines.evaluate_detector.write import WritePredictions
from schemas.configs.evaluate_detector import EvaluateDetectorConfig
from schemas.job_config import PluginConfig
from schemas.layouts import layout

SIGMAS = np.array(layout("coco17").oks_sigmas)


def planned(folder, annotations="people.json", options=None, **fields) -> Plan:
    detector = PluginConfig(name="painted_joints:PaintedJoints", **(options or {}))
    inputs = {"annotations": f"{folder}/{annotations}", "images": f"{folder}/images", "output": "o"}
    return plan(EvaluateDetectorConfig(detector=detector, **inputs, **fields))


def evaluate(folder, name="out", **inputs) -> Scores:
    work = planned(folder, **inputs)
    look = EstimateKeypoints(work.detector, 1, "cpu", work.joints, partial=work.joints != layout("coco17").joints)
    write = WritePredictions(f"{folder}/{name}", work.settings)
    for batch in look(pa.Table.from_pylist(list(work.tasks), schema=TASKS)):
        write(batch)
    ledger = read_ledger(f"{folder}/{name}", work.settings)
    assert ledger.done == {task["image_id"] for task in work.tasks}
    return score(work, read_predictions(f"{folder}/{name}", work.image_ids, len(work.joints)), 0.9)


def test_a_shifted_detector_gets_the_score_of_the_formula(tmp_path):
    document = coco_set(tmp_path)
    metrics = evaluate(tmp_path, options={"shift_px": 2.0}).metrics
    areas = np.array([person["area"] for person in document["annotations"]])
    similarity = np.exp(-(2.0**2) / (2 * areas[:, None] * (2 * SIGMAS) ** 2)).mean(1)
    assert metrics["mean_oks"] == pytest.approx(similarity.mean(), rel=1e-6)
    for threshold in (0.5, 0.75):
        assert metrics[f"ar_{100 * threshold:.0f}"] == pytest.approx((similarity >= threshold).mean())


def test_boxes_may_come_from_a_file(tmp_path):
    document = coco_set(tmp_path)
    boxes = [
        {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": score}
        for a in document["annotations"]
        for score in (0.9, 0.4)
    ]
    boxes.append({"image_id": 999, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1})
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    scores = evaluate(tmp_path, boxes=f"{tmp_path}/boxes.json")
    assert (scores.metrics["ap"], scores.metrics["mean_oks"]) == (pytest.approx(1), pytest.approx(1))
    assert [person["score"] for person in scores.predictions] == [pytest.approx(0.9)] * 9, (
        "one found twice is there once"
    )
    # Half the boxes have 0.4.
    work = planned(tmp_path, boxes=f"{tmp_path}/boxes.json", min_box_score=0.5)
    assert sum(len(task["box_scores"]) for task in work.tasks) == 9


def test_a_detector_may_find_the_people_itself_instead_of_annotated_boxes(tmp_path):
    coco_set(tmp_path)
    scores = evaluate(tmp_path, boxes="detected")
    assert (scores.metrics["ap"], scores.metrics["mean_oks"], len(scores.predictions)) == (
        pytest.approx(1), pytest.approx(1), 9,
    )  # fmt: skip
    assert scores.notes == []


def test_a_detector_that_finds_nobody_scores_zero(tmp_path):
    for image in coco_set(tmp_path)["images"]:
        save(tmp_path / "images" / image["file_name"], paint([], image["height"], image["width"]))
    scores = evaluate(tmp_path, boxes="detected")
    assert (scores.metrics["ap"], scores.metrics["mean_oks"], scores.predictions) == (0, 0, [])


def test_only_people_with_joints_are_scored_and_looked_at(tmp_path):
    document = coco_set(tmp_path)
    document["annotations"][0]["keypoints"] = [0] * 51
    document["annotations"][1]["iscrowd"] = 1
    (tmp_path / "people.json").write_text(json.dumps(document))
    work = planned(tmp_path)
    assert len(work.image_ids) == 6
    assert [task["image_id"] for task in work.tasks] == [101, 102, 103, 104, 105]
    assert evaluate(tmp_path).people == 7


def test_images_that_are_left_out(tmp_path):
    coco_set(tmp_path)
    assert planned(tmp_path, limit=4).image_ids == (100, 101, 103, 104)
    assert planned(tmp_path, limit=2).image_ids == (100, 103)
    assert planned(tmp_path, limit=99).image_ids == (100, 101, 102, 103, 104, 105)
    evaluate(tmp_path)
    work = planned(tmp_path, limit=2)
    scores = score(work, read_predictions(f"{tmp_path}/out", work.image_ids, 17), 0.9)
    assert (scores.people, scores.metrics["ap"], len(scores.predictions)) == (3, pytest.approx(1), 3)


def test_pckh_on_mpii_files(tmp_path):
    mpii_set(tmp_path)
    scores = evaluate(tmp_path, annotations="valid.json")
    assert (scores.metrics["pckh_50"], scores.metrics["pckh_10"]) == (pytest.approx(100), pytest.approx(100))
    assert scores.metrics["pckh_50_left_knee"] == 100
    assert scores.metrics["pckh_50_head_top"] is None
    assert scores.notes[0].startswith("not scored: pelvis, thorax, upper_neck, head_top")
    assert scores.people == 5
    # Heads are 20 px in the diagonal, so 12 px: 1.26 px is 0.105 of that.
    missed = evaluate(tmp_path, "missed", annotations="valid.json", options={"shift_px": 1.26}).metrics
    assert [missed[name] for name in ("pckh_50", "pckh_10", "pckh_10_published")] == [100, 0, 100]


def test_settings_do_not_include_the_address_of_weights_or_the_person_finder(tmp_path):
    coco_set(tmp_path)
    options = {"weights": "random:0"}
    detector = PluginConfig(name="hrnet", **options)

    def planned_for(**fields) -> Plan:
        inputs = {"annotations": f"{tmp_path}/people.json", "images": f"{tmp_path}/images", "output": "o"}
        return plan(EvaluateDetectorConfig(detector=detector, **inputs, **fields))

    work = planned_for(flip=True)
    assert work.settings["detector.flip"] is True
    assert "detector.weights" not in work.settings
    assert work.detector.options["persons"] == {"name": "whole_frame"}
    work = planned_for(boxes="detected")
    assert "persons" not in work.detector.options
