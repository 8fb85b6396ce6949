"""Whether the annotated boxes of people are around their joints, and which mistake explains it if they are not."""

import numpy as np
from jaxtyping import Bool, Float

from pipelines.pose.in_picture import LARGEST_SHARE, are_shares

# Boxes around joints are enlarged by this factor, because head, feet, hands and flesh extend beyond the joints.
FLESH = 1.2
# A mistake counts as the explanation if correcting it raises the median overlap (intersection over union) of the boxes
# with those around the joints to at least the first number, and by at least the second.
_EXPLAINED, _MORE_EXPLAINED = 0.5, 0.25
# With fewer people than this, a wrong format cannot be told from incomplete annotations.
_FEWEST_PEOPLE = 3
# The pictures of joints and boxes count as resized if their scales differ by more than the first share, and if the
# factors across and down agree to within the second.
_RESIZED, _SAME = 0.1, 0.1


def around_joints(
    keypoints: Float[np.ndarray, "people joints 2"], known: Bool[np.ndarray, "people joints"]
) -> Float[np.ndarray, "people 4"]:
    """The boxes (x0, y0, x1, y1) around the known joints; infinite without any."""
    least = np.where(known[..., None], keypoints, np.inf).min(1)
    most = np.where(known[..., None], keypoints, -np.inf).max(1)
    return np.concatenate([least, most], axis=1)


def around_people(around: Float[np.ndarray, "people 4"]) -> Float[np.ndarray, "people 4"]:
    """The boxes around people, computed from those around their joints."""
    with np.errstate(invalid="ignore"):  # people without joints have infinite boxes
        margin = (FLESH - 1) / 2 * (around[:, 2:] - around[:, :2])
    return np.concatenate([around[:, :2] - margin, around[:, 2:] + margin], axis=1)


def overlaps(
    first: Float[np.ndarray, "people 4"], second: Float[np.ndarray, "people 4"]
) -> Float[np.ndarray, " people"]:
    """Intersection over union of pairs of boxes (x0, y0, x1, y1); 0 where one is empty."""
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = np.maximum(sides, 0).prod(1)
    both = sum((box[:, 2:] - box[:, :2]).clip(0).prod(1) for box in (first, second)) - shared
    return np.divide(shared, both, out=np.zeros(len(first)), where=both > 0)


def are_apart(
    first: Float[np.ndarray, "people 4"], second: Float[np.ndarray, "people 4"]
) -> Bool[np.ndarray, " people"]:
    """Which pairs of boxes (x0, y0, x1, y1) do not touch."""
    return np.any(np.maximum(first[:, :2], second[:, :2]) > np.minimum(first[:, 2:], second[:, 2:]), axis=1)


def why_not_of_joints(people: Float[np.ndarray, "people 4"], boxes: Float[np.ndarray, "people 4"]) -> str | None:
    """Why the boxes as a whole cannot belong to these people, and what to do about it; None if they can.

    Single boxes that are elsewhere are no reason, and neither are empty ones.

    Args:
        people: Boxes around the people's joints, px.
        boxes: (x0, y0, x1, y1), px, that were made of x, y, width and height.
    """
    judged = ((boxes[:, 2:] > boxes[:, :2]) & (people[:, 2:] > people[:, :2])).all(1)
    people, boxes = people[judged], boxes[judged]
    if not len(boxes):
        return None
    if are_shares(boxes.reshape(-1, 2)):
        return (
            f"boxes are all below {LARGEST_SHARE:g}, so they are shares of the picture's size; multiply x and width by "
            "its width, y and height by its height"
        )
    as_given = overlaps(people, boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    # The scale of the boxes' coordinates relative to the joints', from the middles of both.
    across, down = np.median((boxes[:, :2] + boxes[:, 2:]) / np.maximum(people[:, :2] + people[:, 2:], 1), axis=0)
    meant = {
        "boxes are (x0, y0, x1, y1); give (x, y, width, height)": (
            people,
            np.concatenate([boxes[:, :2], sides], axis=1),
        ),
        "boxes begin in the middle of people; give the left and upper edge as x and y": (
            people,
            np.concatenate([boxes[:, :2] - sides / 2, boxes[:, :2] + sides / 2], axis=1),
        ),
    }
    if abs(across - 1) > _RESIZED and abs(across / down - 1) < _SAME:
        times = f"{1 / across:.2g} times as large as those of the boxes"
        meant[f"keypoints are of pictures {times}; give both in the same pixels"] = (people * across, boxes)
    explained = {what: float(np.median(overlaps(*pair))) for what, pair in meant.items()}
    best = max(explained, key=lambda what: explained[what])
    if len(boxes) >= _FEWEST_PEOPLE and explained[best] >= max(_EXPLAINED, np.median(as_given) + _MORE_EXPLAINED):
        return best
    elsewhere = int(are_apart(people, boxes).sum())
    if elsewhere > len(boxes) / 2:
        return (
            f"the boxes of {elsewhere} of {len(boxes)} people are not where their joints are; give boxes and joints of "
            "the same people"
        )
    return None
