"""Whether the annotated joints and boxes of a file can be those of people in its pictures; one check for all formats.

Impossible values are refused if they concern the whole file; they count as not annotated, with a note, if they concern
single joints or boxes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from pipelines.annotations.boxes import are_apart, around_joints, around_people, why_not_of_joints
from pipelines.pose.in_picture import LARGEST_SHARE, are_shares, near_picture
from schemas.errors import UserError

# At least this share of the joints must be possible; otherwise the file belongs to other pictures.
_LEAST_POSSIBLE = 0.5


@dataclass(frozen=True)
class CheckedPeople:
    """What can be used of a file's people.

    Attributes:
        annotated: Which joints are annotated.
        boxes: (x0, y0, x1, y1), px; around the joints where the file's box is empty.
        notes: What was left out, one line for each kind.
    """

    annotated: Bool[np.ndarray, "people joints"]
    boxes: Float32[np.ndarray, "people 4"]
    notes: tuple[str, ...]


def check_people(
    uri: str,
    keypoints: Float[np.ndarray, "people joints 2"],
    annotated: Bool[np.ndarray, "people joints"],
    boxes: Float[np.ndarray, "people 4"],
    sizes_wh: Float[np.ndarray, "people 2"],
    nowhere: float = 0.0,
) -> CheckedPeople:
    """Check the people of an annotation file.

    Args:
        uri: The file, for messages.
        keypoints: Joints, px, with the centre of the first pixel at 0.
        annotated: Which joints are annotated.
        boxes: (x0, y0, x1, y1), px.
        sizes_wh: Width and height of each person's picture, px; infinite where unknown.
        nowhere: Coordinate of a joint for which the file says (0, 0).

    Raises:
        UserError: The joints or boxes are shares of the picture's size, most joints lie outside their pictures, or most
            boxes are not around the joints.
    """
    count = int(annotated.sum())
    if count and are_shares(keypoints[annotated]):
        raise UserError(
            f"{uri}: keypoints are all below {LARGEST_SHARE:g}, so they are shares of the picture's size; "
            "multiply x by the width and y by the height, here and in the boxes"
        )
    at_zero = annotated & (keypoints == nowhere).all(-1)
    outside = annotated & ~near_picture(keypoints, sizes_wh[:, None])
    if outside.sum() > (1 - _LEAST_POSSIBLE) * count:
        raise UserError(
            f"{uri}: {int(outside.sum())} of {count} joints lie outside their pictures; give the annotations of these "
            "pictures, at the size that they say"
        )
    kept = annotated & ~at_zero & ~outside
    around = around_joints(keypoints, kept)
    on_one_point = (kept.sum(1) > 1) & (around[:, :2] == around[:, 2:]).all(1)
    kept &= ~on_one_point[:, None]
    people = around_people(around)
    if reason := why_not_of_joints(people[kept.any(1)], boxes[kept.any(1)]):
        raise UserError(f"{uri}: {reason}")
    visible = np.minimum(boxes[:, 2:], sizes_wh) - np.maximum(boxes[:, :2], 0)
    empty = kept.any(1) & ((visible <= 0).any(1) | are_apart(people, boxes))
    counts = {
        "joints are marked visible at exactly (0, 0): they count as not annotated": at_zero.sum(),
        "joints lie far outside their pictures: they count as not annotated": outside.sum(),
        "people have all joints on one point: they are left out": on_one_point.sum(),
        "people have a box that is empty, or not where their joints are: the box around these is taken": empty.sum(),
    }
    notes = tuple(f"{uri}: {number} {what}" for what, number in counts.items() if number)
    boxes = np.where(empty[:, None], people, boxes).astype(np.float32)
    return CheckedPeople(kept, boxes, notes)
