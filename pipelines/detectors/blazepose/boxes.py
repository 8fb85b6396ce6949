"""The box around the joints that BlazePose detected, and the joints of the person in a given box."""

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pipelines.detectors.blazepose.landmark_model import CROP_MARGIN, LandmarkModel, Landmarks
from pipelines.detectors.blazepose.person_model import PersonModel, merge

# Margin around the joints on each side, as a share of the longer side, because a body reaches beyond its joints. Among
# 0, 0.05, 0.1 and 0.15, this value agrees best with annotated boxes of COCO.
BOX_MARGIN = 0.05

# The square crop is larger than the box by this factor, as for other top-down detectors.
BOX_PADDING = 1.25

# Lowest score of a candidate in a given box; it is low because somebody is known to be there. On the twelve people of
# coco_tiny, with boxes shifted by up to a pixel, the mean OKS is 0.77 for 0.05 to 0.5, and 0.69 without candidates.
MIN_CANDIDATE_SCORE = 0.15


def body_boxes(
    keypoints: Float[np.ndarray, "people joints 2"], width: int, height: int
) -> Float[np.ndarray, "people 4"]:
    """Boxes around all joints, visible or not, with a margin, clipped to the frame.

    Joints that are not visible count too, so that a person who is partly hidden keeps the size that tracking relies on.
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

    Two crops are tried: that of the person model's best candidate, and the square around the box, as if the person were
    upright with the hips in its centre. The result with the larger product of person score and overlap is returned.
    """
    centre = (box[:2] + box[2:]).astype(np.float64) / 2
    # A box without area counts as one pixel.
    side = BOX_PADDING * max(float((box[2:] - box[:2]).max()), 1.0)
    up = np.array([0.0, -side / (2 * CROP_MARGIN)])
    tried = [landmark_model(frame, centre, centre + up)]
    x, y = centre
    region = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    candidate = merge([person_model(frame, region, MIN_CANDIDATE_SCORE)]).points[:1]
    tried += [landmark_model(frame, hips, circle) for _, _, hips, circle in candidate]
    bodies = body_boxes(np.stack([one.keypoints for one in tried]), frame.shape[1], frame.shape[0])
    fits = [one.person * _iou(body, box) for one, body in zip(tried, bodies, strict=True)]
    return tried[int(np.argmax(fits))]


def _iou(one: Float[np.ndarray, " 4"], other: Float[np.ndarray, " 4"]) -> float:
    shared = (np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])).clip(min=0).prod()
    union = (one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared
    return float(shared / max(union, np.finfo(np.float64).tiny))
