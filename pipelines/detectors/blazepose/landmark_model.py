"""The landmark model: 33 joints of the one person in an upright crop."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pipelines.detectors.blazepose import crops
from pipelines.detectors.blazepose.tflite import TfliteModel

JOINTS = 33

# The crop's edge over the diameter of the body's circle; the margin that the model was trained with.
CROP_MARGIN = 1.25

# Names in the file: 39 rows of x, y (input pixels), z, visibility and presence (logits), the first 33 of them
# joints; the probability that this is a person; heatmap logits at a quarter of the resolution.
LANDMARKS, IS_PERSON, HEATMAPS = "Identity", "Identity_1", "Identity_3"

# A joint moves to the mean of its heatmap within 3 cells (the 7 × 7 published with the model), where that has
# a peak of probability above 0.5 (logit 0).
HEATMAP_REACH = 3
HEATMAP_PEAK_LOGIT = 0.0


@dataclass(frozen=True)
class Landmarks:
    """The joints of one person.

    Attributes:
        keypoints: `blazepose33` joints.
        scores: Visibility × presence of each joint, 0 to 1.
        person: Probability that the crop shows a person.
    """

    keypoints: Float[np.ndarray, "joints 2"]
    scores: Float[np.ndarray, " joints"]
    person: float


class LandmarkModel:
    """Finds the joints of one person; arguments as of `TfliteModel`."""

    def __init__(self, path: Path, threads: int) -> None:
        self._model = TfliteModel(path, threads)

    def __call__(
        self,
        frame: UInt8[np.ndarray, "height width 3"],
        hips: Float[np.ndarray, " 2"],
        circle: Float[np.ndarray, " 2"],
    ) -> Landmarks:
        """The joints, in frame pixels, of the person with these hips and this point on the body's circle."""
        side = self._model.side
        width = 2 * CROP_MARGIN * float(np.linalg.norm(circle - hips))
        affine = crops.upright(hips, circle - hips, width, side)
        # The model wants 0 to 1.
        crop = crops.warp(frame, affine, side) * np.float32(1 / 255)
        rows, person, heatmaps = self._model(crop, LANDMARKS, IS_PERSON, HEATMAPS)
        joints = rows.reshape(-1, 5)[:JOINTS].astype(np.float64)
        keypoints = refine(joints[:, :2], heatmaps[..., :JOINTS], side / len(heatmaps))
        visibility, presence = 1 / (1 + np.exp(-joints[:, 3:].T))
        return Landmarks(crops.move(keypoints, crops.inverse(affine)), visibility * presence, float(person[0]))


def refine(
    keypoints: Float[np.ndarray, "joints 2"],
    heatmaps: Float32[np.ndarray, "cells cells joints"],
    stride: float,
) -> Float[np.ndarray, "joints 2"]:
    """Move joints to the mean of the heatmap around them, where the heatmap is sure.

    The maps come with the same pass, and lower the error on real video by a fifth; a second pass, on a crop
    placed by the first one's joints, does not. Cell (i, j) stands for pixel (i, j) · stride.

    Args:
        keypoints: Joints in input pixels.
        heatmaps: Logits, one map a joint.
        stride: Input pixels per cell.
    """
    size, joints = len(heatmaps), np.arange(len(keypoints))[:, None, None]
    reach = np.arange(-HEATMAP_REACH, HEATMAP_REACH + 1)
    centre = np.floor(keypoints / stride).astype(np.int64)
    columns = (centre[:, 0, None] + reach)[:, None, :]
    rows = (centre[:, 1, None] + reach)[:, :, None]
    inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    logits = heatmaps[rows.clip(0, size - 1), columns.clip(0, size - 1), joints]
    logits = np.where(inside, logits, -np.inf).astype(np.float64)
    sure = logits.max((1, 2)) >= HEATMAP_PEAK_LOGIT
    weights = 1 / (1 + np.exp(-logits[sure]))
    weights /= weights.sum((1, 2), keepdims=True)
    refined = keypoints.copy()
    refined[sure, 0] = stride * (weights * columns[sure]).sum((1, 2))
    refined[sure, 1] = stride * (weights * rows[sure]).sum((1, 2))
    return refined
