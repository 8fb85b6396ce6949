"""Scores of a training against pycocotools and by hand."""

import numpy as np
import pytest
import torch

from pipelines.annotations.coco import CocoImage, CocoKeypoints
from pipelines.evaluate_detector.coco_scores import average_precision
from pipelines.train_detector.scores import Truth, metrics, score_people, selection
from schemas.layouts import layout

COCO = layout("coco17")


def people(count=40):
    random = np.random.default_rng(0)
    points = random.uniform(0, 200, (count, 17, 2)).astype(np.float32)
    labeled = random.random((count, 17)) < 0.8
    # From all but right to far off, and as sure as this or not.
    predicted = points + random.normal(0, 1, points.shape) * np.linspace(1, 15, count)[:, None, None]
    scores = random.random((count, 17)).astype(np.float32)
    areas = random.uniform(5e3, 4e4, count).astype(np.float32)
    return points, labeled, predicted.astype(np.float32), scores, areas


def test_average_precision_is_that_of_pycocotools():
    points, labeled, predicted, scores, areas = people()
    count = len(points)
    known = (torch.from_numpy(values) for values in (points, labeled, areas))
    truth = Truth(*known, head_sizes=torch.full((count,), torch.nan))
    judged = score_people(torch.from_numpy(predicted), torch.from_numpy(scores), truth, COCO)
    ours = metrics(judged, COCO)
    annotated = CocoKeypoints(
        *("", "", 1, COCO.joints),
        images=tuple(CocoImage(n + 1, f"{n}.png", 300, 300) for n in range(count)),
        ids=np.arange(1, count + 1),
        image_rows=np.arange(count),
        boxes=np.tile(np.array([0, 0, 200, 200], np.float32), (count, 1)),
        areas=areas.astype(np.float64),
        keypoints=points,
        visibility=np.where(labeled, 2, 0).astype(np.uint8),
        crowds=np.zeros(count, bool),
    )
    listed = [
        {
            "image_id": n + 1,
            "category_id": 1,
            "keypoints": np.concatenate([predicted[n], scores[n, :, None]], 1).ravel().tolist(),
            "score": float(judged[n, 3]),
        }
        for n in range(count)
    ]
    theirs = average_precision(annotated, range(1, count + 1), listed, np.array(COCO.oks_sigmas))
    assert 0.2 < ours["ap"] < 0.9
    for name in ("ap", "ap_50", "ap_75"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-9)


def test_pckh_counts_labeled_joints_of_people_with_heads():
    points = torch.zeros(3, 16, 2)
    predicted = points.clone()
    predicted[0, :4, 0] = 5.1  # beyond half a head of 10 px
    predicted[1, 0, 1] = 5.0  # just within
    labeled = torch.ones(3, 16, dtype=torch.bool)
    labeled[1, 8:] = False
    truth = Truth(points, labeled, torch.ones(3), torch.tensor([10.0, 10.0, torch.nan]))
    predicted_metrics = metrics(score_people(predicted, torch.ones(3, 16), truth, layout("mpii16")), layout("mpii16"))
    assert predicted_metrics == {"pckh": 20 / 24}
    assert selection(predicted_metrics) == 20 / 24


def test_without_annotations_to_score_by_there_is_no_score():
    truth = Truth(torch.zeros(1, 16, 2), torch.ones(1, 16).bool(), torch.ones(1), torch.tensor([torch.nan]))
    assert (
        metrics(score_people(torch.zeros(1, 16, 2), torch.ones(1, 16), truth, layout("mpii16")), layout("mpii16")) == {}
    )
    assert selection({}) is None
