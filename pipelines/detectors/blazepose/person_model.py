"""The person model, which predicts where people are in a region of the frame, how large, and how they are rotated.

It is a single-shot detector. For each anchor of three grids it predicts whether a face is near, the face's box, and two
points that describe the body's place and rotation: the centre between the hips, and the top of the circle around the
body.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pipelines.detectors.blazepose import crops
from pipelines.detectors.blazepose.tflite import TfliteModel

# (stride, anchors per cell). The model has five layers of strides 8, 16, 32, 32 and 32 with two anchors per cell each.
GRIDS = ((8, 2), (16, 2), (32, 6))

# Names of the model's outputs. A row of "Identity" holds the face's centre and size, then four points (hips, body
# circle, and two for the upper body only), in input pixels relative to the anchor. "Identity_1" holds the logits.
PLACES, LOGITS = "Identity", "Identity_1"

# Face boxes that overlap by more than this IoU belong to the same person; the value was published with the model.
SAME_FACE_IOU = 0.3


@dataclass(frozen=True)
class Candidates:
    """Possible people in a frame.

    Attributes:
        scores: Probability of each, 0 to 1.
        points: Top left and bottom right of the face, the centre between the hips, the top of the circle around the
            body.
    """

    scores: Float[np.ndarray, " candidates"]
    points: Float[np.ndarray, "candidates 4 2"]


class PersonModel:
    """Detects candidates in a region of the frame; takes the same arguments as `TfliteModel`."""

    def __init__(self, path: Path, threads: int) -> None:
        self._model = TfliteModel(path, threads)
        self._anchors = anchor_centres(self._model.side)

    def __call__(
        self,
        frame: UInt8[np.ndarray, "height width 3"],
        region: tuple[float, float, float, float],
        threshold: float,
    ) -> Candidates:
        """Detect candidates with scores above `threshold` in the region (x0, y0, x1, y1), frame pixels."""
        affine = crops.letterbox(region, self._model.side)
        crop = crops.warp(frame, affine, self._model.side)
        # The model expects values from -1 to 1.
        places, logits = self._model(crop * np.float32(2 / 255) - np.float32(1), PLACES, LOGITS)
        candidates = decode(places, logits[:, 0], self._anchors, threshold)
        return Candidates(candidates.scores, crops.move(candidates.points, crops.inverse(affine)))


def anchor_centres(side: int) -> Float[np.ndarray, "anchors 2"]:
    """Centres (x, y) of all anchors in input pixels, in the order of the model's outputs."""
    grids = []
    for stride, per_cell in GRIDS:
        line = np.arange(stride / 2, side, stride)
        x, y = np.meshgrid(line, line)
        grids.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), per_cell, axis=0))
    return np.concatenate(grids)


def decode(
    places: Float32[np.ndarray, "anchors 12"],
    logits: Float32[np.ndarray, " anchors"],
    anchors: Float[np.ndarray, "anchors 2"],
    threshold: float,
) -> Candidates:
    """Candidates in input pixels, of the anchors with scores above the threshold."""
    likely = np.flatnonzero(logits > np.log(threshold / (1 - threshold)))
    rows = places[likely].astype(np.float64).reshape(-1, 6, 2)
    anchor = anchors[likely]
    face, half_size = rows[:, 0] + anchor, rows[:, 1] / 2
    hips, circle = rows[:, 2] + anchor, rows[:, 3] + anchor
    scores = 1 / (1 + np.exp(-logits[likely].astype(np.float64)))
    return Candidates(scores, np.stack([face - half_size, face + half_size, hips, circle], 1))


def merge(candidates_by_region: list[Candidates]) -> Candidates:
    """Merge candidates of the same face into one, highest score first.

    The best candidate is replaced by the score-weighted mean of all candidates whose faces overlap with its face, and
    this is repeated with the others. This weighted non-maximum suppression (arXiv:1907.05047, section 4.2) gives
    positions that are steadier from frame to frame than those of the best candidate.
    """
    scores = np.concatenate([candidates.scores for candidates in candidates_by_region])
    points = np.concatenate([candidates.points for candidates in candidates_by_region])
    # A stable sort keeps the order of equal scores, so that the same frame always gives the same people.
    order = np.argsort(-scores, kind="stable")
    best_scores, means = [], []
    while len(order):
        same = _face_iou(points[order[0]], points[order]) > SAME_FACE_IOU
        # A face without area overlaps with nothing, not even with itself, so it is added here.
        same[0] = True
        best_scores.append(scores[order[0]])
        means.append(np.average(points[order[same]], axis=0, weights=scores[order[same]]))
        order = order[~same]
    return Candidates(np.array(best_scores), np.array(means).reshape(-1, 4, 2))


def _face_iou(one: Float[np.ndarray, "4 2"], others: Float[np.ndarray, "others 4 2"]) -> Float[np.ndarray, " others"]:
    overlap = np.minimum(one[1], others[:, 1]) - np.maximum(one[0], others[:, 0])
    shared = overlap.clip(min=0).prod(-1)
    union = (one[1] - one[0]).prod() + (others[:, 1] - others[:, 0]).prod(-1) - shared
    return shared / np.maximum(union, np.finfo(np.float64).tiny)
