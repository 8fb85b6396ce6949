"""The landmark model, which predicts the 33 joints of the person in an upright crop."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pipelines.detectors.blazepose import crops
from pipelines.detectors.blazepose.tflite import TfliteModel

JOINTS = 33

# The crop's edge divided by the diameter of the circle around the body; the model was trained with this margin.
CROP_MARGIN = 1.25

# Names of the model's outputs: 39 rows of x, y (input pixels), z, visibility and presence (logits), of which the first
# 33 are joints; the probability that the crop shows a person; heatmap logits at a lower resolution.
LANDMARKS, IS_PERSON, HEATMAPS = "Identity", "Identity_1", "Identity_3"

# A joint is moved to the mean of its heatmap within 3 cells (the 7 × 7 cells published with the model) if the heatmap
# has a probability of at least 0.5 (logit 0) there.
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
    """Predicts the joints of one person; takes the same arguments as `TfliteModel`."""

    def __init__(self, path: Path, threads: int) -> None:
        self._model = TfliteModel(path, threads)

    def __call__(
        self,
        frame: UInt8[np.ndarray, "height width 3"],
        hips: Float[np.ndarray, " 2"],
        circle: Float[np.ndarray, " 2"],
    ) -> Landmarks:
        """Predict a person's joints, in frame pixels.

        Args:
            frame: RGB.
            hips: The centre between the person's hips, frame pixels.
            circle: The top of the circle around the person's body, frame pixels.
        """
        side = self._model.side
        width = 2 * CROP_MARGIN * float(np.linalg.norm(circle - hips))
        affine = crops.upright(hips, circle - hips, width, side)
        # The model expects values from 0 to 1.
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
    """Move joints to the mean of the heatmap around them, where the heatmap has a clear peak.

    On real video this lowers the error by a fifth without a further run of the model. A second run, on a crop placed by
    the joints of the first, would not lower it. Cell (i, j) stands for pixel (i, j) · stride.

    Args:
        keypoints: Joints in input pixels.
        heatmaps: Logits, one map per joint.
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
    peaked = logits.max((1, 2)) >= HEATMAP_PEAK_LOGIT
    weights = 1 / (1 + np.exp(-logits[peaked]))
    weights /= weights.sum((1, 2), keepdims=True)
    refined = keypoints.copy()
    refined[peaked, 0] = stride * (weights * columns[peaked]).sum((1, 2))
    refined[peaked, 1] = stride * (weights * rows[peaked]).sum((1, 2))
    return refined
