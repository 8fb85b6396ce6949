"""COCO's result files: reads the boxes of a person detector, writes detected keypoints."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from pipelines.annotations.json_files import entry_error, read_json
from pipelines.io import storage
from pipelines.io.unknown_origin import STUMBLES
from schemas.errors import UserError


@dataclass(frozen=True)
class FoundBoxes:
    """Boxes of a person detector, in the order of the file.

    Attributes:
        sha256: Of the file.
        image_ids: Id of the image of each box.
        boxes: (x0, y0, x1, y1), px; pixel centres are whole numbers.
        scores: Confidence of each box, 0 to 1.
    """

    sha256: str
    image_ids: Int64[np.ndarray, " people"]
    boxes: Float32[np.ndarray, "people 4"]
    scores: Float32[np.ndarray, " people"]


def read_boxes(uri: str, category_id: int, min_score: float = 0.0) -> FoundBoxes:
    """Read a result file, a list of {image_id, category_id, bbox: [x, y, width, height], score}.

    Args:
        uri: The file.
        category_id: Category of people; boxes of others are left out.
        min_score: Boxes with a lower score are left out.

    Raises:
        UserError: There is no such file, or it is not of this format.
    """
    file = read_json(uri)
    if not isinstance(file.document, list):
        raise UserError(f"{uri}: is not a result file of COCO's format: that is a list of boxes")
    image_ids, rows = [], []
    for number, detection in enumerate(file.document):
        try:
            if detection["category_id"] == category_id and detection["score"] >= min_score:
                x, y, width, height = detection["bbox"]
                rows.append((x, y, x + width, y + height, detection["score"]))
                image_ids.append(int(detection["image_id"]))
        except STUMBLES as error:
            raise UserError(f"{uri}: number {number}: {entry_error(error)}") from error
    columns = np.array(rows, np.float32).reshape(-1, 5)
    if not np.isfinite(columns).all():
        number = int(np.flatnonzero(~np.isfinite(columns).all(1))[0])
        raise UserError(f"{uri}: a box of image {image_ids[number]} holds a number that is not finite")
    return FoundBoxes(file.sha256, np.array(image_ids, np.int64), columns[:, :4].copy(), columns[:, 4].copy())


def results(
    image_ids: Int64[np.ndarray, " people"],
    keypoints: Float[np.ndarray, "people joints 2"],
    keypoint_scores: Float[np.ndarray, "people joints"],
    scores: Float64[np.ndarray, " people"],
    category_id: int,
) -> list[dict[str, Any]]:
    """Detected people in COCO's result format; pixel centres are whole numbers."""
    triples = np.concatenate([keypoints, keypoint_scores[..., None]], -1, dtype=np.float64).round(3)
    return [
        {"image_id": image, "category_id": category_id, "keypoints": person, "score": score}
        for image, person, score in zip(
            image_ids.tolist(), [person.ravel().tolist() for person in triples], scores.tolist(), strict=True
        )
    ]


def write_results(uri: str, predictions: list[dict[str, Any]] | list[Mapping[str, Any]]) -> None:
    """Write a result file.

    Raises:
        RunFailed: The file cannot be written.
    """
    storage.write_bytes(uri, json.dumps(predictions).encode())
