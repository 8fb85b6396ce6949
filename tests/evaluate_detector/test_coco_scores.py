import builtins
import json

import numpy as np
import pytest

from pipelines.annotations.coco import CocoImage, CocoKeypoints, read_coco
from pipelines.annotations.coco_results import results
from pipelines.evaluate_detector import coco_scores
from pipelines.pose.oks import oks
from schemas.errors import UserError
from schemas.layouts import layout

JOINTS = layout("coco17").joints
SIGMAS = np.array(layout("coco17").oks_sigmas)
ONES = np.ones((1, 17), np.float32)


def annotated(people_per_image=(1, 2, 0), area=5000.0, seed=0) -> CocoKeypoints:
    """Images of ids 10, 11, …, whose people lie around different places."""
    random = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(people_per_image)), people_per_image)
    count = len(rows)
    points = random.uniform(0, 100, (count, 17, 2)) + 300 * np.arange(count)[:, None, None]
    return CocoKeypoints(
        uri="made",
        sha256="",
        category_id=1,
        joints=JOINTS,
        images=tuple(CocoImage(10 + i, f"{i}.jpg", 2000, 2000) for i in range(len(people_per_image))),
        ids=np.arange(count) + 1,
        image_rows=rows,
        boxes=np.concatenate([points.min(1), points.max(1)], -1).astype(np.float32),
        areas=np.full(count, area),
        keypoints=points.astype(np.float32),
        visibility=np.full((count, 17), 2, np.uint8),
        crowds=np.zeros(count, bool),
    )


def ids_of(truth: CocoKeypoints) -> np.ndarray:
    return np.array([image.id for image in truth.images])[truth.image_rows]


def precision(truth: CocoKeypoints, keypoints: np.ndarray) -> dict[str, float | None]:
    count = len(truth)
    detections = results(ids_of(truth), keypoints, np.ones((count, 17), np.float32), np.ones(count), 1)
    return coco_scores.average_precision(truth, [image.id for image in truth.images], detections, SIGMAS)


def test_the_annotated_people_themselves_have_an_ap_of_1():
    scores = precision(annotated(), annotated().keypoints)
    large = ("ap_large", "ar_large")
    # 5000 px² are no large people: of those there are none to score.
    assert {name: value for name, value in scores.items() if name not in large} == dict.fromkeys(
        [name for name in coco_scores.NAMES if name not in large], pytest.approx(1)
    )
    assert [scores[name] for name in large] == [None, None]


def test_a_shifted_one_is_right_up_to_the_threshold_that_its_oks_reaches():
    truth = annotated()
    shift = np.array([6.0, 0.0], np.float32)
    similarity = np.exp(-(6.0**2) / (2 * 5000 * (2 * SIGMAS) ** 2)).mean()
    assert 0.55 < similarity < 0.95
    own = coco_scores.own_similarity(truth, np.arange(3), truth.keypoints + shift, SIGMAS)
    np.testing.assert_allclose(own, similarity, rtol=1e-6)
    # The ten thresholds are 0.5, 0.55, … 0.95.
    reached = (np.arange(0.5, 0.96, 0.05) <= similarity).mean()
    scores = precision(truth, truth.keypoints + shift)
    assert scores["ap"] == pytest.approx(reached)
    assert (scores["ap_50"], scores["ar"]) == (pytest.approx(1), pytest.approx(reached))


def test_images_without_people_or_detections():
    truth = annotated()
    assert set(coco_scores.average_precision(truth, [10, 11, 12], [], SIGMAS).values()) == {0.0}
    empty = annotated((0, 0))
    assert set(coco_scores.average_precision(empty, [10, 11], [], SIGMAS).values()) == {None}


def test_only_the_images_that_count_do():
    truth = annotated()
    detections = results(np.array([10]), truth.keypoints[:1].astype(float), ONES, np.ones(1), 1)
    assert coco_scores.average_precision(truth, [10], detections, SIGMAS)["ap"] == pytest.approx(1)
    assert coco_scores.average_precision(truth, [10, 11, 12], detections, SIGMAS)["ar"] == pytest.approx(1 / 3)


def test_agrees_with_pycocotools_on_the_annotation_file_itself(shared_data, capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    uri = str(shared_data / "coco_tiny" / "test_coco.json")
    truth, random = read_coco(uri), np.random.default_rng(0)
    rows = np.repeat(np.arange(len(truth)), 3)
    keypoints = truth.keypoints[rows] + random.normal(0, 6, (len(rows), 17, 2))
    ids, scores = np.array([image.id for image in truth.images])[truth.image_rows[rows]], random.uniform(size=len(rows))
    detections = results(ids, keypoints, np.ones((len(rows), 17), np.float32), scores, 1)
    ours = coco_scores.average_precision(truth, [image.id for image in truth.images], detections, SIGMAS)
    assert capsys.readouterr().out == ""
    theirs = COCO(uri)
    evaluation = COCOeval(theirs, theirs.loadRes(json.loads(json.dumps(detections))), "keypoints")
    for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
        step()
    assert [ours[name] for name in coco_scores.NAMES] == evaluation.stats.tolist()
    assert 0.1 < evaluation.stats[0] < 0.9


def test_similarity_to_the_nearest_each_taken_once():
    truth = annotated((2,))
    rows = np.arange(2)
    both = truth.keypoints.astype(float)
    detections = np.stack([both[1], both[1] + 3, both[0] + 100_000])
    best = coco_scores.best_similarity(truth, rows, np.array([10, 10, 10]), detections, SIGMAS)
    assert best[1] == 1
    assert best[0] < 1e-6, "whom the other one took is not there for this one"
    one = oks(both[:1], both[:1] + 3, truth.areas[:1], SIGMAS)[0, 0]
    near = coco_scores.best_similarity(truth, rows, np.array([10, 10]), both + 3, SIGMAS)
    np.testing.assert_allclose(near, one, rtol=1e-6)
    assert coco_scores.best_similarity(truth, rows, np.array([11]), both[:1], SIGMAS).tolist() == [0, 0]
    assert coco_scores.best_similarity(truth, rows, np.zeros(0, np.int64), both[:0], SIGMAS).tolist() == [0, 0]


def test_scores_are_box_times_mean_of_the_joints_seen():
    joints = np.array([[0.9, 0.5, 0.2, 0.1], [0.1, 0.1, 0.2, 0.0], [1, 1, 1, 1]], np.float32)
    np.testing.assert_allclose(
        coco_scores.rescore(np.array([0.5, 1, 0.3], np.float32), joints), [0.35, 0, 0.3], rtol=1e-6
    )


def test_duplicates_are_told_by_image_and_padded_area():
    pose = np.random.default_rng(0).uniform(0, 100, (17, 2))
    keypoints = np.stack([pose, pose + 1.5, pose, pose + 40])
    boxes = np.tile(np.array([[0, 0, 60, 80]], np.float32), (4, 1))
    ids, scores = np.array([5, 5, 6, 5]), np.array([0.8, 0.9, 0.1, 0.2])
    # Fitted to 3:4 the box is as it is, and padded 100 × 75 px.
    similarity = oks(pose[None], pose[None] + 1.5, np.array([7500.0]), SIGMAS)[0, 0]
    kept = coco_scores.without_duplicates(ids, boxes, keypoints, scores, SIGMAS, similarity - 1e-6)
    assert kept.tolist() == [1, 2, 3]
    kept = coco_scores.without_duplicates(ids, boxes, keypoints, scores, SIGMAS, similarity + 1e-6)
    assert kept.tolist() == [0, 1, 2, 3]
    nobody = coco_scores.without_duplicates(ids[:0], boxes[:0], keypoints[:0], scores[:0], SIGMAS, 0.9)
    assert nobody.tolist() == []


def test_constants_go_by_the_joints_name():
    assert coco_scores.sigmas_of(JOINTS).tolist() == SIGMAS.tolist()
    assert coco_scores.sigmas_of(["left_heel", "nose"]).tolist() == [0.089, 0.026]
    with pytest.raises(UserError, match="no OKS constant is known for head_top, tail"):
        coco_scores.sigmas_of(["nose", "head_top", "tail"])


def test_without_pycocotools_the_error_says_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **named):
        if name.startswith("pycocotools"):
            raise ImportError("No module named 'pycocotools'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=r"pip install 'raylift\[detectors\]'"):
        coco_scores.require_pycocotools()
