"""Reads annotations of people and their joints in the JSON lists of MPII that HRNet, mmpose and others train on.

`annot/valid.json` and its like: a list of people, each with `image` (file name), `center` [x, y], `scale` (the
person's height / 200 px), `joints` 16 times [x, y] in the order of layout mpii16 and `joints_vis` 16 times 0 or 1.
Head boxes, which set the scale of PCKh, come from `gt_valid.mat` beside the list (headboxes_src; its pos_gt_src and
jnt_missing then replace the joints of the list), or from `head_box` [x0, y0, x1, y1] of each person. All coordinates
in the files count from 1, as in Matlab; here the centre of the first pixel is 0.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from pipelines.annotations.json_files import JsonFile, entry_error, read_json
from pipelines.annotations.mat_files import read_mat
from pipelines.annotations.plausibility import check_people
from pipelines.io import storage
from pipelines.io.unknown_origin import STUMBLES
from schemas.errors import UserError
from schemas.layouts import LAYOUTS

LAYOUT = LAYOUTS["mpii16"]

# MPII's `scale` is a person's height in pixels divided by SCALE_PX. The annotated centre is somewhat high, so it is
# moved down by CENTRE_DOWN_PX times the scale. All published top-down results do both.
SCALE_PX = 200
CENTRE_DOWN_PX = 15

# PCKh's head size is this share of the diagonal of the head box (Andriluka et al. 2014).
HEAD_SHARE = 0.6

# The variables of gt_valid.mat, with axes (corner, xy, person), (joint, xy, person) and (joint, person).
_MAT_NAMES = ("headboxes_src", "pos_gt_src", "jnt_missing")


@dataclass(frozen=True)
class MpiiPeople:
    """An annotation file; each row is a person, in the order of the file. The centre of the first pixel is 0.

    Attributes:
        uri: The file.
        sha256: Of the file.
        images: Names of the images, once each, sorted.
        image_rows: Position in `images` of each person's image.
        boxes: Squares (x0, y0, x1, y1) around the person, px, without padding.
        keypoints: Joints of layout mpii16, px.
        annotated: Which joints are annotated.
        head_sizes_px: Head sizes, the unit of PCKh's distances, px; None if there are no head boxes.
        notes: What cannot be and was left out.
    """

    uri: str
    sha256: str
    images: tuple[str, ...]
    image_rows: Int64[np.ndarray, " people"]
    boxes: Float32[np.ndarray, "people 4"]
    keypoints: Float32[np.ndarray, "people 16 2"]
    annotated: Bool[np.ndarray, "people 16"]
    head_sizes_px: Float32[np.ndarray, " people"] | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of people."""
        return len(self.image_rows)


def read_mpii(uri: str, head_boxes: str | None = None) -> MpiiPeople:
    """Read an annotation file.

    Args:
        uri: The json list.
        head_boxes: gt_valid.mat; None: the file beside the list if it exists, else `head_box` of each person if
            everyone has one, else no head sizes.

    Raises:
        UserError: There is no such file, or it is not of this format; the message says where.
    """
    return parse_mpii(read_json(uri), head_boxes)


def parse_mpii(file: JsonFile, head_boxes: str | None = None) -> MpiiPeople:
    """Parse an annotation file that `read_json` has read.

    Raises:
        UserError: The file is not of this format.
    """
    if not isinstance(file.document, list) or not file.document:
        raise UserError(f"{file.uri}: is not in MPII's format: that is a list of people")
    entries = [_person(file.uri, number, entry) for number, entry in enumerate(file.document)]
    images = tuple(sorted({image for image, *_ in entries}))
    places = {image: place for place, image in enumerate(images)}
    heads = [head for *_, head in entries if head is not None]
    keypoints = np.stack([joints for _, _, joints, *_ in entries]).astype(np.float32)
    checked = check_people(
        file.uri,
        keypoints,
        np.stack([visible for _, _, _, visible, _ in entries]),
        np.stack([box for _, box, *_ in entries]),
        np.full((len(entries), 2), np.inf, np.float32),
        nowhere=-1,
    )
    people = MpiiPeople(
        uri=file.uri,
        sha256=file.sha256,
        images=images,
        image_rows=np.array([places[image] for image, *_ in entries], np.int64),
        boxes=checked.boxes,
        keypoints=keypoints,
        annotated=checked.annotated,
        notes=checked.notes,
        head_sizes_px=_sizes(np.stack(heads)) if len(heads) == len(entries) else None,
    )
    beside = storage.join(file.uri.rpartition("/")[0] or ".", f"gt_{file.uri.rpartition('/')[2].split('.')[0]}.mat")
    if head_boxes is None and storage.exists(beside):
        head_boxes = beside
    return people if head_boxes is None else _with_heads(people, head_boxes)


def _person(uri: str, number: int, entry: Any) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Image, box, joints, which of them are annotated, and the head box if there is one."""
    try:
        joints = np.array(entry["joints"], np.float64)
        visible = np.array(entry["joints_vis"], np.float64) > 0
        if joints.shape != (16, 2) or visible.shape != (16,):
            raise ValueError(f"joints must be 16 times x, y, and joints_vis 16 numbers, not {joints.shape}")
        head = np.array(entry["head_box"], np.float64) if "head_box" in entry else None
        if head is not None and head.shape != (4,):
            raise ValueError("head_box must be x0, y0, x1, y1")
        scale, centre = float(entry["scale"]), np.array(entry["center"], np.float64)
        centre = centre + np.array([0, CENTRE_DOWN_PX * scale]) - 1
        half = SCALE_PX * scale / 2
        box = np.concatenate([centre - half, centre + half])
        if not (np.isfinite(joints).all() and np.isfinite(box).all() and (head is None or np.isfinite(head).all())):
            raise ValueError("holds a number that is not finite")
        return str(entry["image"]), box, joints - 1, visible, head
    except STUMBLES as error:
        raise UserError(f"{uri}: number {number}: {entry_error(error)}") from error


def _with_heads(people: MpiiPeople, uri: str) -> MpiiPeople:
    """The people with the joints and head sizes of the evaluation code's .mat file."""
    try:
        data = storage.read_bytes(uri)
    except OSError as error:
        raise UserError(f"head_boxes={uri}: cannot be read: {error.strerror or error}") from error
    try:
        variables = read_mat(data, _MAT_NAMES)
        heads, joints, missing = (variables[name].astype(np.float64) for name in _MAT_NAMES)
    except KeyError as error:
        raise UserError(f"head_boxes={uri}: holds no {error.args[0]!r}; give gt_valid.mat") from error
    except ValueError as error:
        raise UserError(f"head_boxes={uri}: is no .mat file that can be read: {error}; give gt_valid.mat") from error
    count = len(people)
    shapes = ((2, 2, count), (16, 2, count), (16, count))
    for name, shape, array in zip(_MAT_NAMES, shapes, (heads, joints, missing), strict=True):
        if array.shape != shape:
            raise UserError(
                f"head_boxes={uri}: {name} is {array.shape}, {shape} would fit the {count} people of {people.uri}; "
                "give the file that belongs to it"
            )
    return replace(
        people,
        keypoints=(joints.transpose(2, 0, 1) - 1).astype(np.float32),
        annotated=missing.T == 0,
        head_sizes_px=_sizes(heads.transpose(2, 0, 1).reshape(count, 4)),
    )


def _sizes(boxes: np.ndarray) -> np.ndarray:
    return (HEAD_SHARE * np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=-1)).astype(np.float32)
