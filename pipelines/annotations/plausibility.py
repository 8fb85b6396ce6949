"""Whether the annotated joints and boxes of a file can be those of people in its pictures; one check for all formats.

What cannot be is refused where it concerns the whole file, and counts as not annotated, with a note, where it concerns
single joints or boxes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from pipelines.pose.in_picture import LARGEST_SHARE, are_shares, near_picture
from schemas.errors import UserError

# Boxes around joints are enlarged by this factor: head, feet, hands and shoulders extend beyond the joints.
FLESH = 1.2
# Share of the joints that must be possible; with fewer, the file belongs to other pictures.
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
        UserError: The joints are shares of the picture's size, or most of them lie outside their pictures.
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
    on_one_point = (kept.sum(1) > 1) & (_reach(keypoints, kept) == 0).all(1)
    kept &= ~on_one_point[:, None]
    visible = np.minimum(boxes[:, 2:], sizes_wh) - np.maximum(boxes[:, :2], 0)
    empty = (visible <= 0).any(1) & kept.any(1)
    counts = {
        "joints are marked visible at exactly (0, 0): they count as not annotated": at_zero.sum(),
        "joints lie far outside their pictures: they count as not annotated": outside.sum(),
        "people have all joints on one point: they are left out": on_one_point.sum(),
        "people have a box that is empty or outside the picture: the box around their joints is taken": empty.sum(),
    }
    notes = tuple(f"{uri}: {number} {what}" for what, number in counts.items() if number)
    around = _around(keypoints, kept)
    with np.errstate(invalid="ignore"):
        margin = (FLESH - 1) / 2 * (around[:, 2:] - around[:, :2])
        around += np.concatenate([-margin, margin], axis=1)
    boxes = np.where(empty[:, None], around, boxes).astype(np.float32)
    return CheckedPeople(kept, boxes, notes)


def _around(
    keypoints: Float[np.ndarray, "people joints 2"], known: Bool[np.ndarray, "people joints"]
) -> Float[np.ndarray, "people 4"]:
    """The boxes around the known joints; infinite without any."""
    least = np.where(known[..., None], keypoints, np.inf).min(1)
    most = np.where(known[..., None], keypoints, -np.inf).max(1)
    return np.concatenate([least, most], axis=1)


def _reach(
    keypoints: Float[np.ndarray, "people joints 2"], known: Bool[np.ndarray, "people joints"]
) -> Float[np.ndarray, "people 2"]:
    boxes = _around(keypoints, known)
    with np.errstate(invalid="ignore"):
        return boxes[:, 2:] - boxes[:, :2]
