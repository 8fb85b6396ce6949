"""COCO's keypoint scores: average precision and recall by object keypoint similarity, and the mean similarity."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64

from pipelines.annotations.coco import CocoKeypoints
from pipelines.pose.oks import oks, oks_nms
from schemas.errors import UserError
from schemas.layouts import LAYOUTS

# The names of COCOeval's numbers, in its order; COCOeval uses at most 20 people per image.
NAMES = ("ap", "ap_50", "ap_75", "ap_medium", "ap_large", "ar", "ar_50", "ar_75", "ar_medium", "ar_large")

# Joints below this score are not used to judge whether there is a person.
_SEEN = 0.2
# Duplicates are found by the area of the box after it is fitted to this aspect ratio and padded. It is that of the
# networks whose scores were published, and is used for all detectors.
_ASPECT = 192 / 256
_PADDING = 1.25


def sigmas_of(joints: Sequence[str]) -> Float64[np.ndarray, " joints"]:
    """COCO's constant of each joint, by its name in any layout that has one.

    Raises:
        UserError: A joint has no constant.
    """
    known: dict[str, float] = {}
    for layout in LAYOUTS.values():
        known = dict(zip(layout.joints, layout.oks_sigmas, strict=False)) | known
    missing = [joint for joint in joints if joint not in known]
    if missing:
        raise UserError(
            f"annotations: no OKS constant is known for {', '.join(missing)}; COCO's scores need one for each joint"
        )
    return np.array([known[joint] for joint in joints])


def rescore(
    box_scores: Float32[np.ndarray, " people"], keypoint_scores: Float32[np.ndarray, "people joints"]
) -> Float64[np.ndarray, " people"]:
    """Scores as published: the box's score times the mean of the joint scores above 0.2."""
    counted = keypoint_scores > _SEEN
    sums = np.where(counted, keypoint_scores, 0).sum(-1, dtype=np.float64)
    return box_scores * (sums / np.maximum(counted.sum(-1), 1))


def without_duplicates(
    image_ids: Int64[np.ndarray, " people"],
    boxes: Float32[np.ndarray, "people 4"],
    keypoints: Float[np.ndarray, "people joints 2"],
    scores: Float64[np.ndarray, " people"],
    sigmas: Float64[np.ndarray, " joints"],
    max_similarity: float,
) -> Int64[np.ndarray, " kept"]:
    """Rows of the people who are not, by OKS, duplicates of a better-scored person in the same image; ascending."""
    size = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    width = np.maximum(size[:, 0], size[:, 1] * _ASPECT)
    areas = np.maximum(width * (width / _ASPECT) * _PADDING**2, 1)
    order = np.argsort(image_ids, kind="stable")
    kept = []
    for rows in np.split(order, np.flatnonzero(np.diff(image_ids[order])) + 1):
        kept.append(rows[oks_nms(keypoints[rows], scores[rows], areas[rows], sigmas, max_similarity)])
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)


def own_similarity(
    truth: CocoKeypoints,
    rows: Int[np.ndarray, " people"],
    keypoints: Float[np.ndarray, "people joints 2"],
    sigmas: Float64[np.ndarray, " joints"],
) -> Float64[np.ndarray, " people"]:
    """OKS of annotated people to what was found for each of them."""
    squared_px = np.square(truth.keypoints[rows].astype(np.float64) - keypoints).sum(-1)
    similarity = np.exp(-squared_px / (2 * truth.areas[rows, None] * np.square(2 * sigmas)))
    visible = truth.visibility[rows] > 0
    return np.where(visible, similarity, 0).sum(-1) / visible.sum(-1)


def best_similarity(
    truth: CocoKeypoints,
    rows: Int[np.ndarray, " people"],
    image_ids: Int64[np.ndarray, " found"],
    keypoints: Float[np.ndarray, "found joints 2"],
    sigmas: Float64[np.ndarray, " joints"],
) -> Float64[np.ndarray, " people"]:
    """OKS of each annotated person with the most similar detection in the same image; 0 if no detection is left.

    The most similar pair is matched first, and each detection is matched at most once.
    """
    best = np.zeros(len(rows))
    order = np.argsort(image_ids, kind="stable")
    ids = np.array([image.id for image in truth.images])[truth.image_rows[rows]]
    for image in np.unique(ids):
        people = np.flatnonzero(ids == image)
        detected = order[slice(*np.searchsorted(image_ids[order], [image, image + 1]))]
        chosen = rows[people]
        visible: Bool[np.ndarray, "people joints"] = truth.visibility[chosen] > 0
        pairs = oks(
            truth.keypoints[chosen].astype(np.float64), keypoints[detected], truth.areas[chosen], sigmas, visible
        )
        for _ in range(min(pairs.shape)):
            person, other = np.unravel_index(pairs.argmax(), pairs.shape)
            best[people[person]] = max(pairs[person, other], 0)
            pairs[person], pairs[:, other] = -1, -1
    return best


def average_precision(
    truth: CocoKeypoints,
    image_ids: Sequence[int],
    predictions: Sequence[Mapping[str, Any]],
    sigmas: Float64[np.ndarray, " joints"],
) -> dict[str, float | None]:
    """COCO's ten numbers, 0 to 1, by pycocotools; None where no annotated person counts, for example of a size.

    Args:
        truth: The annotations.
        image_ids: The images that count.
        predictions: People in COCO's result format, of these images.
        sigmas: A constant for each joint.

    Raises:
        UserError: pycocotools is not installed.
    """
    coco_class, eval_class = _pycocotools()
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        annotated = coco_class()
        annotated.dataset = _document(truth)
        annotated.createIndex()
        if not predictions:
            nothing = None if not truth.with_joints.any() else 0.0
            return dict.fromkeys(NAMES, nothing)
        evaluation = eval_class(annotated, annotated.loadRes([dict(person) for person in predictions]), "keypoints")
        evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.params.imgIds = sorted(image_ids)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # pycocotools returns -1 for scores to which no annotated person contributes.
    return {n: float(v) if v >= 0 else None for n, v in zip(NAMES, evaluation.stats, strict=True)}


def require_pycocotools() -> None:
    """Check that COCO's scores can be computed, before hours of work.

    Raises:
        UserError: pycocotools is not installed.
    """
    _pycocotools()


def _pycocotools() -> tuple[Any, Any]:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise UserError(
            f"annotations: COCO's scores need pycocotools ({error}); pip install 'raylift[detectors]'"
        ) from error
    return COCO, COCOeval


def _document(truth: CocoKeypoints) -> dict[str, Any]:
    """The annotations in the form that pycocotools reads."""
    triples = np.concatenate([truth.keypoints.astype(np.float64), truth.visibility[..., None]], -1)
    ids = [image.id for image in truth.images]
    sizes = truth.boxes[:, 2:] - truth.boxes[:, :2]
    return {
        "images": [{"id": image} for image in ids],
        "categories": [{"id": truth.category_id, "name": "person"}],
        "annotations": [
            {
                "id": int(truth.ids[row]),
                "image_id": ids[truth.image_rows[row]],
                "category_id": truth.category_id,
                "bbox": [*truth.boxes[row, :2].tolist(), *sizes[row].tolist()],
                "area": float(truth.areas[row]),
                "keypoints": triples[row].ravel().tolist(),
                "num_keypoints": int((truth.visibility[row] > 0).sum()),
                "iscrowd": int(truth.crowds[row]),
            }
            for row in range(len(truth))
        ],
    }
