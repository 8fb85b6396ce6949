"""Reads annotations of people and their joints in COCO's keypoint format (JSON).

The format: cocodataset.org, "Data format", "Keypoint Detection". Joints are named by the
file's category, so that other joints than COCO's 17 can be read.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from pipelines.annotations.json_files import JsonFile, entry_error, read_json
from schemas.errors import UserError
from schemas.layouts import LAYOUTS, JointLayout

# A joint that is not annotated.
_NO_JOINT = [0, 0, 0]
_VISIBILITIES = frozenset((0, 1, 2))


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image; its size is that of the stored pixels, without the orientation in EXIF."""

    id: int
    file_name: str
    width: int
    height: int


@dataclass(frozen=True)
class CocoKeypoints:
    """An annotation file; each row is a person, in the order of `images`.

    Pixel centres are whole numbers, as in the file: coordinates are half a pixel less than those of `People`.

    Attributes:
        uri: The file.
        sha256: Of the file.
        category_id: The file's number for people.
        joints: Names of the joints in the arrays' order.
        images: All images, including those without people, by ascending id.
        ids: The annotations' ids.
        image_rows: Position in `images` of each person's image.
        boxes: (x0, y0, x1, y1), px, as annotated: not always inside the image.
        areas: Area that the person covers, px².
        keypoints: (x, y), px; (0, 0) where a joint is not annotated.
        visibility: 0 not annotated, 1 hidden, 2 seen.
        crowds: Whether the annotation is of a crowd, which is not one person to be scored.
    """

    uri: str
    sha256: str
    category_id: int
    joints: tuple[str, ...]
    images: tuple[CocoImage, ...]
    ids: Int64[np.ndarray, " people"]
    image_rows: Int64[np.ndarray, " people"]
    boxes: Float32[np.ndarray, "people 4"]
    areas: Float64[np.ndarray, " people"]
    keypoints: Float32[np.ndarray, "people joints 2"]
    visibility: UInt8[np.ndarray, "people joints"]
    crowds: Bool[np.ndarray, " people"]

    def __len__(self) -> int:
        """Number of annotations, including people without joints and crowds."""
        return len(self.ids)

    @property
    def with_joints(self) -> Bool[np.ndarray, " people"]:
        """The people that a detector is trained and scored on: no crowds, at least one joint annotated."""
        return (self.visibility > 0).any(-1) & ~self.crowds

    @property
    def layout(self) -> JointLayout:
        """The layout that has these joints in this order.

        Raises:
            UserError: There is none.
        """
        for known in LAYOUTS.values():
            if known.joints == self.joints:
                return known
        raise UserError(
            f"{self.uri}: no layout has these joints in this order: {', '.join(self.joints)}; "
            f"layouts: {', '.join(LAYOUTS)}"
        )

    def rows_of(self, image: int) -> slice:
        """The rows of the people in `images[image]`."""
        return slice(*np.searchsorted(self.image_rows, [image, image + 1]).tolist())

    def inside(self) -> Float32[np.ndarray, "people 4"]:
        """The boxes, clipped to the images by `clip_boxes`."""
        sizes = np.array([(image.width, image.height) for image in self.images], np.float32).reshape(-1, 2)
        return clip_boxes(self.boxes, sizes[self.image_rows])


def clip_boxes(
    boxes: Float32[np.ndarray, "people 4"], sizes_wh: Float32[np.ndarray, "people 2"]
) -> Float32[np.ndarray, "people 4"]:
    """Clip boxes to their images; a box outside the image has no area left.

    x1 and y1 are the last pixel inside the box: COCO's published top-down scores use x1 = x0 + width - 1.
    """
    top_left = np.maximum(boxes[:, :2], 0)
    reach = np.maximum(boxes[:, 2:] - boxes[:, :2] - 1, 0)
    bottom_right = np.minimum(sizes_wh - 1, top_left + reach)
    return np.concatenate([top_left, np.maximum(bottom_right, top_left)], -1)


def read_coco(uri: str) -> CocoKeypoints:
    """Read an annotation file.

    Raises:
        UserError: There is no such file, or it is not of this format; the message says where.
    """
    return parse_coco(read_json(uri))


def parse_coco(file: JsonFile) -> CocoKeypoints:
    """Parse an annotation file that `read_json` has read.

    Raises:
        UserError: It is not of this format.
    """
    uri, document = file.uri, file.document
    missing = [name for name in ("images", "annotations", "categories") if not _has_list(document, name)]
    if missing:
        raise UserError(f"{uri}: is not in COCO's format: has no list {', '.join(missing)}")
    category_id, joints = _person_category(uri, document["categories"])
    images = tuple(sorted(_images(uri, document["images"]), key=lambda image: image.id))
    rows = {image.id: row for row, image in enumerate(images)}
    if len(rows) < len(images):
        raise UserError(f"{uri}: images: two have the same id; an id is one image's")
    people = [_person(uri, n, a, rows, len(joints)) for n, a in _of_category(document["annotations"], category_id)]
    people.sort(key=lambda person: (person[1], person[0]))
    ids = np.array([person[0] for person in people], np.int64)
    if len(np.unique(ids)) < len(ids):
        raise UserError(f"{uri}: annotations: two have the same id; an id is one annotation's")
    numbers = np.array([person[2] for person in people], np.float64).reshape(-1, 5 + 3 * len(joints))
    triples = numbers[:, 5:].reshape(-1, len(joints), 3)
    return CocoKeypoints(
        uri=uri,
        sha256=file.sha256,
        category_id=category_id,
        joints=joints,
        images=images,
        ids=ids,
        image_rows=np.array([person[1] for person in people], np.int64),
        boxes=numbers[:, :4].astype(np.float32),
        areas=numbers[:, 4].copy(),
        keypoints=triples[..., :2].astype(np.float32),
        visibility=triples[..., 2].astype(np.uint8),
        crowds=np.array([person[3] for person in people], np.bool_),
    )


def _has_list(document: Any, name: str) -> bool:
    return isinstance(document, Mapping) and isinstance(document.get(name), list)


def _of_category(annotations: Sequence[Any], category_id: int) -> list[tuple[int, Any]]:
    """Annotations of a category with their positions; malformed entries are kept, `_person` reports them."""
    return [
        (number, found)
        for number, found in enumerate(annotations)
        if not isinstance(found, Mapping) or found.get("category_id") == category_id
    ]


def _person_category(uri: str, categories: Sequence[Any]) -> tuple[int, tuple[str, ...]]:
    found = [c for c in categories if isinstance(c, Mapping) and c.get("keypoints") and isinstance(c.get("id"), int)]
    found = [c for c in found if c.get("name") == "person"] or found
    if len(found) != 1:
        raise UserError(
            f"{uri}: categories: one must have the names of its joints (keypoints), {len(found)} have; "
            "COCO's person_keypoints_*.json have them, its instances_*.json have no joints"
        )
    joints = tuple(str(joint).strip().lower().replace(" ", "_") for joint in found[0]["keypoints"])
    if len(set(joints)) < len(joints):
        raise UserError(f"{uri}: categories: keypoints names a joint twice: {', '.join(joints)}")
    return found[0]["id"], joints


def _images(uri: str, images: Sequence[Any]) -> list[CocoImage]:
    found = []
    for number, image in enumerate(images):
        try:
            size = int(image["width"]), int(image["height"])
            found.append(CocoImage(int(image["id"]), str(image["file_name"]), *size))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{uri}: images: number {number}: {entry_error(error)}") from error
    return found


def _person(uri: str, number: int, found: Any, rows: Mapping[int, int], joints: int) -> tuple[Any, ...]:
    """Id, position of the image, numbers (box, area, joints) and whether it is a crowd."""
    try:
        x, y, width, height = found["bbox"]
        triples = found.get("keypoints") or _NO_JOINT * joints
        if len(triples) != 3 * joints:
            raise ValueError(f"keypoints must be {joints} times x, y, visibility, not {len(triples)} numbers")
        numbers = array("d", [x, y, x + width, y + height, found["area"], *triples])
        # A single number that is not finite makes the sum not finite.
        if not isfinite(sum(numbers)):
            raise ValueError("holds a number that is not finite")
        if not _VISIBILITIES.issuperset(triples[2::3]):
            raise ValueError("visibility must be 0 (not annotated), 1 (hidden) or 2 (seen)")
        if found["image_id"] not in rows:
            raise ValueError(f"image_id {found['image_id']} is none of the images")
        return int(found["id"]), rows[found["image_id"]], numbers, bool(found.get("iscrowd"))
    except (KeyError, TypeError, ValueError) as error:
        which = f" (id {found['id']})" if isinstance(found, Mapping) and "id" in found else ""
        raise UserError(f"{uri}: annotations: number {number}{which}: {entry_error(error)}") from error
