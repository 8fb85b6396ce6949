"""Scores predictions by the protocol of COCO or of MPII, as published results are computed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.annotations.coco import CocoKeypoints
from pipelines.annotations.coco_results import results
from pipelines.annotations.mpii import MpiiPeople
from pipelines.evaluate_detector import coco_scores, pckh
from pipelines.evaluate_detector.ledger import Predictions
from pipelines.evaluate_detector.plan import HALF_PIXEL, Plan


@dataclass(frozen=True)
class Scores:
    """What a detector scored.

    Attributes:
        metrics: The metrics by name; None if nobody is annotated for one.
        people: Number of annotated people that were scored.
        predictions: People in COCO's result format, as they were scored.
        notes: Facts to know before using the numbers, one line for each.
    """

    metrics: dict[str, float | None]
    people: int
    predictions: list[dict[str, Any]]
    notes: list[str]


def score(plan: Plan, predictions: Predictions, max_similarity: float) -> Scores:
    """Score predictions.

    Args:
        plan: The evaluation.
        predictions: The predictions for its images.
        max_similarity: For COCO: OKS above which two predictions are the same person.

    Raises:
        UserError: pycocotools is not installed.
    """
    if isinstance(plan.truth, MpiiPeople):
        return _score_mpii(plan, plan.truth, predictions)
    return _score_coco(plan, plan.truth, predictions, max_similarity)


def _score_coco(plan: Plan, truth: CocoKeypoints, predictions: Predictions, max_similarity: float) -> Scores:
    sigmas = coco_scores.sigmas_of(plan.joints)
    keypoints = predictions.keypoints - HALF_PIXEL
    # The scores of a detector that finds people itself already include those of the joints.
    scores = (
        coco_scores.rescore(predictions.scores, predictions.keypoint_scores)
        if plan.boxes_given
        else predictions.scores.astype(np.float64)
    )
    kept = coco_scores.without_duplicates(
        predictions.image_ids, predictions.boxes, keypoints, scores, sigmas, max_similarity
    )
    listed = results(
        predictions.image_ids[kept], keypoints[kept], predictions.keypoint_scores[kept], scores[kept], truth.category_id
    )
    metrics = coco_scores.average_precision(truth, plan.image_ids, listed, sigmas)
    chosen = np.isin([image.id for image in truth.images], plan.image_ids)
    rows = np.flatnonzero(truth.with_joints & chosen[truth.image_rows])
    if (predictions.annotations >= 0).all() and plan.settings["boxes"] == "truth":
        similarity = _own_similarity(truth, rows, predictions, sigmas)
    else:
        similarity = coco_scores.best_similarity(truth, rows, predictions.image_ids[kept], keypoints[kept], sigmas)
    metrics["mean_oks"] = float(similarity.mean()) if len(rows) else None
    return Scores(metrics, len(rows), listed, _coco_notes(plan))


def _own_similarity(truth: CocoKeypoints, rows: np.ndarray, predictions: Predictions, sigmas: np.ndarray) -> np.ndarray:
    """OKS of annotated people with the prediction for their own box; 0 without a prediction."""
    places = {annotation: place for place, annotation in enumerate(predictions.annotations.tolist())}
    own = np.array([places.get(annotation, -1) for annotation in truth.ids[rows].tolist()], np.int64)
    similarity = np.zeros(len(rows))
    predicted = own >= 0
    keypoints = predictions.keypoints[own[predicted]] - HALF_PIXEL
    similarity[predicted] = coco_scores.own_similarity(truth, rows[predicted], keypoints, sigmas)
    return similarity


def _coco_notes(plan: Plan) -> list[str]:
    if plan.settings["boxes"] == "truth":
        return ["boxes are the annotated ones: published scores, with boxes detected, are some points lower"]
    return []


def _score_mpii(plan: Plan, truth: MpiiPeople, predictions: Predictions) -> Scores:
    rows = np.flatnonzero(np.isin(truth.image_rows, plan.image_ids))
    keypoints = np.full((len(truth), len(plan.joints), 2), np.nan, np.float32)
    keypoints[predictions.annotations] = predictions.keypoints - HALF_PIXEL
    assert truth.head_sizes_px is not None  # checked by the plan

    def at(threshold: float) -> pckh.Pckh:
        assert truth.head_sizes_px is not None
        return pckh.pckh(
            *(keypoints[rows], truth.keypoints[rows], truth.annotated[rows], truth.head_sizes_px[rows]), threshold
        )

    half = at(0.5)
    metrics = {
        "pckh_50": half.mean,
        "pckh_10": at(0.1).mean,
        "pckh_10_published": at(pckh.PUBLISHED_TENTH).mean,
        **{f"pckh_50_{joint}": value for joint, value in half.by_joint.items()},
    }
    unknown = [joint for joint in plan.joints if half.by_joint[joint] is None]
    notes = [f"PCKh@0.1 as published is taken at {pckh.PUBLISHED_TENTH}; at 0.1 itself it is pckh_10"]
    if unknown:
        notes.insert(0, f"not scored: {', '.join(unknown)}, which the detector does not find or nobody annotated")
    return Scores(metrics, len(rows), [], notes)
