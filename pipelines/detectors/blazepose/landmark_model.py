"""The landmark model, which predicts the 33 joints of the person in an upright crop."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pipelines.detectors.blazepose import crops
from pipelines.detectors.blazepose.options import Model
from pipelines.detectors.blazepose.tflite import TfliteModel
from pipelines.detectors.blazepose.weights import HEAVY, LANDMARK_FILE, WEIGHTS
from pipelines.detectors.packaged_weights import PackagedWeights

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


@runtime_checkable
class LandmarkNetwork(Protocol):
    """The network of the landmark model.

    Attributes:
        side: Edge of the square input, pixels.
    """

    side: int

    def __call__(self, image: Float32[np.ndarray, "side side 3"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of the joints, the person's probability, and the heatmaps (cells, cells, joints)."""
        ...


class _Full:
    """The network of the wheel, run by LiteRT."""

    def __init__(self, path: Path, threads: int) -> None:
        self._model = TfliteModel(path, threads)
        self.side = self._model.side

    def __call__(self, image: Float32[np.ndarray, "side side 3"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, person, heatmaps = self._model(image, LANDMARKS, IS_PERSON, HEATMAPS)
        return rows, person, heatmaps


def weights_of(model: Model) -> PackagedWeights:
    """The weights that hold a landmark model."""
    return HEAVY if model == "heavy" else WEIGHTS


def network_of(model: Model, weights: str | None, threads: int) -> LandmarkNetwork:
    """The network of a landmark model.

    Args:
        model: Which one.
        weights: Folder of its files; None is the cache, to which they are downloaded on first use.
        threads: CPU threads that one call uses.

    Raises:
        UserError: See `PackagedWeights.locate`.
    """
    folder = weights_of(model).locate(weights)
    if model == "full":
        return _Full(folder / LANDMARK_FILE, threads)
    from pipelines.detectors.blazepose.heavy import HeavyLandmarks  # here, because the other model needs no torch

    return HeavyLandmarks(folder, threads)


class LandmarkModel:
    """Predicts the joints of one person."""

    def __init__(self, network: LandmarkNetwork) -> None:
        self._model = network

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
        rows, person, heatmaps = self._model(crop)
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
