"""Mannequins look like people: a real detector finds them from all sides."""

from dataclasses import dataclass

import numpy as np
import pytest

from pipelines.detectors.blazepose.detector import BlazePose, BlazePoseConfig
from pipelines.pose.people import People
from pipelines.synthetic.actions import ACTIONS
from pipelines.synthetic.renderer import Renderer
from pipelines.synthetic.studio import build_scene
from schemas.configs.synthesize import SynthesizeConfig
from schemas.layouts import LAYOUTS, shared_joints

COCO = LAYOUTS["coco17"]
DETECTED, TRUE = (np.array(indices) for indices in zip(*shared_joints(COCO, LAYOUTS["h36m17"]), strict=True))
FRAMES_PER_VIEW = 8


@dataclass(frozen=True)
class Sighting:
    """The detector's result on one frame; errors are shares of the person's height in the image."""

    detected: bool
    errors: np.ndarray
    swapped_errors: np.ndarray
    facing: float
    azimuth_deg: float


def judge(people: People, true: np.ndarray, facing: np.ndarray) -> Sighting:
    height = np.ptp(true[:, 1])
    if len(people) == 0:
        errors = swapped = np.full(len(TRUE), np.inf)
    else:
        keypoints = people.keypoints[people.scores.argmax()]
        errors = np.linalg.norm(keypoints[DETECTED] - true[TRUE], axis=1) / height
        swapped = np.linalg.norm(keypoints[list(COCO.mirror)][DETECTED] - true[TRUE], axis=1) / height
    detected = bool(np.median(errors) < 0.25)
    return Sighting(detected, errors, swapped, float(facing[2]), float(np.degrees(np.arctan2(facing[0], facing[2]))))


@pytest.fixture(scope="module")
def sightings() -> list[Sighting]:
    values = {"people": len(ACTIONS), "seconds": 6, "views": 3, "width": 480, "height": 480, "seed": 1}
    config = SynthesizeConfig.model_validate({"output": "unused", **values})
    detector = BlazePose(BlazePoseConfig(), threads=2, device="cpu")
    results = []
    for person in range(config.people):
        scene = build_scene(config, person)
        motion = scene.actors[0].motion
        indices = np.linspace(0, len(motion) - 1, FRAMES_PER_VIEW).astype(int).tolist()
        for view in scene.views:
            renderer = Renderer(scene.place, scene.actors, view)
            for index, people in zip(indices, detector(np.stack([renderer.frame(i) for i in indices])), strict=True):
                # The pelvis' forward direction in camera space.
                facing = motion.rotations[index, 0, :, 0] @ view.rotation
                results.append(judge(people, view.project(motion.positions[index]), facing))
    return results


@pytest.mark.long
def test_over_200_sampled_frames_show_people_from_all_sides(sightings: list[Sighting]) -> None:
    assert len(sightings) > 200
    sides, _ = np.histogram([s.azimuth_deg for s in sightings], bins=8, range=(-180, 180))
    assert sides.min() >= 10


def test_a_detector_finds_the_person(sightings: list[Sighting]) -> None:
    assert np.mean([s.detected for s in sightings]) >= 0.95


def test_detected_limbs_are_near_the_truth(sightings: list[Sighting]) -> None:
    assert np.median([s.errors for s in sightings]) <= 0.04


def test_a_detector_does_not_swap_left_and_right(sightings: list[Sighting]) -> None:
    # People who face the camera, or turn their back to it, within 45°.
    front = [s.errors.mean() < s.swapped_errors.mean() for s in sightings if s.facing < -np.sqrt(0.5)]
    back = [s.errors.mean() < s.swapped_errors.mean() for s in sightings if s.facing > np.sqrt(0.5)]
    assert min(len(front), len(back)) > 40
    assert np.mean(front + back) >= 0.95
    # Backs are harder: 97 % of 600 are right, so the rate over the 50 here varies between 92 and 100 %.
    assert min(np.mean(front), np.mean(back)) >= 0.9
