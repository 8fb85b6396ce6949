"""Selects the people of a frame from raw boxes: by score, without duplicates."""

import numpy as np
from jaxtyping import Float

from pipelines.detectors.persons.base import Boxes, PersonsConfig
from pipelines.tracking.association import iou


def select(
    corners: Float[np.ndarray, "slots 4"],
    scores: Float[np.ndarray, " slots"],
    frame_wh: tuple[int, int],
    config: PersonsConfig,
) -> Boxes:
    """The people among the raw boxes of one frame, best score first.

    Boxes are clipped to the frame; boxes with less than a pixel inside, or with NaN, are dropped.
    """
    corners = np.clip(corners, 0, np.tile(np.array(frame_wh, np.float32), 2)).astype(np.float32)
    with np.errstate(invalid="ignore"):
        real = ((corners[:, 2:] - corners[:, :2]) >= 1).all(-1) & (scores >= config.min_score)
    candidates = np.flatnonzero(real)
    candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
    overlaps = iou(corners[candidates], corners[candidates])
    kept: list[int] = []
    for i in range(len(candidates)):
        if len(kept) < config.max_people and all(overlaps[i, better] <= config.max_overlap for better in kept):
            kept.append(i)
    people = candidates[kept]
    return Boxes(corners[people], scores[people].astype(np.float32))
