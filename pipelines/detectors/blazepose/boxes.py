"""Boxes of BlazePose: the box around detected joints, and the joints of the person in a given box."""

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pipelines.detectors.blazepose.landmark_model import CROP_MARGIN, LandmarkModel, Landmarks
from pipelines.detectors.blazepose.person_model import PersonModel, merge

# Added around the joints on each side, as a share of the longer edge, since joints end at the eyes and feet:
# of 0, 0.05, 0.1 and 0.15 the one that agrees best with annotated COCO boxes.
BOX_MARGIN = 0.05

# The square that is looked at is so much larger than the box, as for other top-down detectors.
BOX_PADDING = 1.25

# Someone is in the box, so a faint hint of where the hips are is worth a look. Mean OKS on the twelve people of
# coco_tiny, over boxes shifted by up to a pixel: 0.77 from 0.05 to 0.5, 0.69 when no hint is sought.
MIN_HINT_SCORE = 0.15


def body_boxes(
    keypoints: Float[np.ndarray, "people joints 2"], width: int, height: int
) -> Float[np.ndarray, "people 4"]:
    """Boxes around all joints, seen or guessed, with a margin, cut at the frame's edges.

    Guessed joints count: the box of a half-hidden person keeps its size, which is what tracking needs.
    """
    top_left, bottom_right = keypoints.min(1), keypoints.max(1)
    margin = BOX_MARGIN * (bottom_right - top_left).max(-1, keepdims=True)
    frame = np.array([width, height])
    return np.concatenate([(top_left - margin).clip(0, frame), (bottom_right + margin).clip(0, frame)], -1)


def joints_in(
    frame: UInt8[np.ndarray, "height width 3"],
    box: Float32[np.ndarray, " 4"],
    person_model: PersonModel,
    landmark_model: LandmarkModel,
) -> Landmarks:
    """The joints of the person in a box (x0, y0, x1, y1), frame pixels.

    Two crops are tried, that around the best hint of the person model and the box's own square, as of somebody
    upright with the hips in its middle. The result is the one whose body fits the box better.
    """
    centre = (box[:2] + box[2:]).astype(np.float64) / 2
    # A box without area is one of a pixel.
    side = BOX_PADDING * max(float((box[2:] - box[:2]).max()), 1.0)
    up = np.array([0.0, -side / (2 * CROP_MARGIN)])
    tried = [landmark_model(frame, centre, centre + up)]
    x, y = centre
    region = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    hint = merge([person_model(frame, region, MIN_HINT_SCORE)]).points[:1]
    tried += [landmark_model(frame, hips, circle) for _, _, hips, circle in hint]
    bodies = body_boxes(np.stack([one.keypoints for one in tried]), frame.shape[1], frame.shape[0])
    fits = [one.person * _iou(body, box) for one, body in zip(tried, bodies, strict=True)]
    return tried[int(np.argmax(fits))]


def _iou(one: Float[np.ndarray, " 4"], other: Float[np.ndarray, " 4"]) -> float:
    shared = (np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])).clip(min=0).prod()
    union = (one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared
    return float(shared / max(union, np.finfo(np.float64).tiny))
