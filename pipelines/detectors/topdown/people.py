"""Assembles the people of each frame from the joints of all crops of a clip: scores them and removes duplicates."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32

from pipelines.detectors.persons.base import Boxes
from pipelines.detectors.topdown.options import TopDownConfig
from pipelines.pose.oks import oks, oks_nms, oks_sigmas, soft_oks_nms
from pipelines.pose.people import People
from schemas.layouts import JointLayout

# Joints with a lower score do not count in a person's score, as in the published evaluations on COCO.
_MIN_JOINT_SCORE = 0.2


def people_of_boxes(
    boxes: Sequence[Boxes],
    keypoints: Float32[np.ndarray, "people joints 2"],
    keypoint_scores: Float32[np.ndarray, "people joints"],
) -> list[People]:
    """One person for each box, in order. Their score is the box score times the mean of the joint scores above 0.2."""
    starts = np.cumsum([0, *map(len, boxes)])
    keypoint_scores = np.nan_to_num(keypoint_scores).clip(0, 1)
    counted = keypoint_scores > _MIN_JOINT_SCORE
    means = np.where(counted, keypoint_scores, 0).sum(1) / np.maximum(counted.sum(1), 1).astype(np.float32)
    people = []
    for frame_boxes, start, stop in zip(boxes, starts, starts[1:], strict=False):
        scores = frame_boxes.scores * means[start:stop]
        people.append(People(frame_boxes.corners, scores, keypoints[start:stop], keypoint_scores[start:stop]))
    return people


def without_duplicates(
    people: Sequence[People],
    areas: Sequence[Float[np.ndarray, " _people"]],
    layout: JointLayout,
    config: TopDownConfig,
) -> list[People]:
    """The people of each frame with at least `min_person_score`, without duplicates, highest score first.

    Args:
        people: The people of each frame.
        areas: Area of the padded box of each person, square pixels, as in the published evaluations.
        layout: Joint layout of the people.
        config: The options.
    """
    sigmas = oks_sigmas(layout)
    crowded = _with_duplicates(people, areas, sigmas, config.max_similarity)
    kept = []
    for frame_people, area, has_duplicates in zip(people, areas, crowded.tolist(), strict=True):
        scores = frame_people.scores
        if not has_duplicates:
            order = np.argsort(-scores, kind="stable")
        elif config.nms == "hard":
            order = oks_nms(frame_people.keypoints, scores, area, sigmas, config.max_similarity)
        else:
            order, lowered = soft_oks_nms(
                frame_people.keypoints, scores, area, sigmas, config.max_similarity, most=len(frame_people)
            )
            scores = scores.copy()
            scores[order] = lowered
        order = order[scores[order] >= config.min_person_score]
        kept.append(
            People(
                frame_people.boxes[order],
                scores[order],
                frame_people.keypoints[order],
                frame_people.keypoint_scores[order],
            )
        )
    return kept


def _with_duplicates(
    people: Sequence[People],
    areas: Sequence[Float[np.ndarray, " _people"]],
    sigmas: Float[np.ndarray, " joints"],
    max_similarity: float,
) -> Bool[np.ndarray, " frames"]:
    """Which frames have duplicates; all frames with the same number of people are compared in one step."""
    counts = np.array([len(frame_people) for frame_people in people], int)
    crowded = np.zeros(len(people), bool)
    for count in set(counts.tolist()) - {0, 1}:
        frames = np.flatnonzero(counts == count).tolist()
        keypoints = np.stack([people[frame].keypoints for frame in frames])
        pairs = oks(keypoints, keypoints, np.stack([areas[frame] for frame in frames]), sigmas)
        pairs[:, np.arange(count), np.arange(count)] = 0
        crowded[frames] = pairs.max((1, 2)) > max_similarity
    return crowded
