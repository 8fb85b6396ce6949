"""Reads annotations of people and their joints in COCO's keypoint format (JSON).

The format: cocodataset.org, "Data format", "Keypoint Detection". Joints are named by the
file's category, so that other joints than COCO's 17 can be read.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from pipelines.annotations.json_files import JsonFile, entry_error, id_of, read_json, side_of
from pipelines.annotations.plausibility import check_people
from pipelines.io.unknown_origin import blamed
from schemas.errors import UserError
from schemas.joint_names import spelled
from schemas.layouts import LAYOUTS, JointLayout, shared_joints

# The (x, y, visibility) of a joint that is not annotated.
_NO_JOINT = [0, 0, 0]
_NO_AREA = -1.0
_VISIBILITIES = frozenset((0, 1, 2))


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image; its width and height are 0 where the file does not give them."""

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
        areas: Area that the person covers, px²; that of the box where the file does not tell.
        keypoints: (x, y), px; (0, 0) where a joint is not annotated.
        visibility: 0 not annotated, 1 hidden, 2 seen.
        crowds: Whether the annotation is of a crowd, which is not one person to be scored.
        notes: What cannot be and was left out.
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
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of annotations, including people without joints and crowds."""
        return len(self.ids)

    @property
    def with_joints(self) -> Bool[np.ndarray, " people"]:
        """Which people a detector is trained and scored on: not crowds, and with at least one annotated joint."""
        return (self.visibility > 0).any(-1) & ~self.crowds

    @property
    def layout(self) -> JointLayout:
        """The layout that has these joints in this order.

        Raises:
            UserError: There is no such layout.
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
        return clip_boxes(self.boxes, _sizes_wh(self.images, self.image_rows))


def in_layout(annotations: CocoKeypoints) -> CocoKeypoints:
    """Annotations with the joints of the layout that shares most joints with them, by name.

    Joints that the file lacks count as not annotated, joints that the layout lacks are left out; a note says so.

    Raises:
        UserError: No layout has at least half of the file's joints.
    """
    if any(known.joints == annotations.joints for known in LAYOUTS.values()):
        return annotations
    best = max(LAYOUTS.values(), key=lambda known: (len(set(known.joints) & set(annotations.joints)), -len(known)))
    shared = shared_joints(best, JointLayout("annotated", annotations.joints, ()))
    if 2 * len(shared) < len(annotations.joints):
        _ = annotations.layout  # raises
    keypoints = np.zeros((len(annotations), len(best), 2), np.float32)
    visibility = np.zeros((len(annotations), len(best)), np.uint8)
    for place, given in shared:
        keypoints[:, place] = annotations.keypoints[:, given]
        visibility[:, place] = annotations.visibility[:, given]
    lacking = [joint for joint in best.joints if joint not in annotations.joints]
    beyond = [joint for joint in annotations.joints if joint not in best.joints]
    note = (
        f"{annotations.uri}: its {len(annotations.joints)} joints are taken as layout {best.name}, by name; "
        f"not annotated: {', '.join(lacking) or 'none'}; left out: {', '.join(beyond) or 'none'}"
    )
    notes = (*annotations.notes, note)
    return replace(annotations, joints=best.joints, keypoints=keypoints, visibility=visibility, notes=notes)


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
        UserError: The file is not of this format.
    """
    with blamed(file.uri, "is not in COCO's format"):
        return _parsed(file)


def _parsed(file: JsonFile) -> CocoKeypoints:
    uri, document = file.uri, file.document
    missing = [name for name in ("images", "annotations", "categories") if not _has_list(document, name)]
    if missing:
        raise UserError(f"{uri}: is not in COCO's format: has no list {', '.join(missing)}")
    category_ids, joints = _person_categories(uri, document["categories"])
    images = tuple(sorted(_images(uri, document["images"]), key=lambda image: image.id))
    rows = {image.id: row for row, image in enumerate(images)}
    if len(rows) < len(images):
        raise UserError(f"{uri}: images: two have the same id; an id is one image's")
    annotations = _of_categories(uri, document["annotations"], category_ids)
    people = [_person(uri, n, a, rows, len(joints)) for n, a in annotations]
    people.sort(key=lambda person: (person[1], person[0]))
    ids = np.array([person[0] for person in people], np.int64)
    if len(np.unique(ids)) < len(ids):
        raise UserError(f"{uri}: annotations: two have the same id; an id is one annotation's")
    numbers = np.array([person[2] for person in people], np.float64).reshape(-1, 5 + 3 * len(joints))
    triples = numbers[:, 5:].reshape(-1, len(joints), 3)
    image_rows = np.array([person[1] for person in people], np.int64)
    visibility = triples[..., 2].astype(np.uint8)
    crowds = np.array([person[3] for person in people], np.bool_)
    sizes_wh = _sizes_wh(images, image_rows)
    checked = check_people(uri, triples[..., :2], (visibility > 0) & ~crowds[:, None], numbers[:, :4], sizes_wh)
    return CocoKeypoints(
        uri=uri,
        sha256=file.sha256,
        category_id=category_ids[0],
        joints=joints,
        images=images,
        ids=ids,
        image_rows=image_rows,
        boxes=checked.boxes,
        areas=np.where(numbers[:, 4] == _NO_AREA, (checked.boxes[:, 2:] - checked.boxes[:, :2]).prod(1), numbers[:, 4]),
        keypoints=triples[..., :2].astype(np.float32),
        visibility=np.where(checked.annotated | crowds[:, None], visibility, 0).astype(np.uint8),
        crowds=crowds,
        notes=checked.notes,
    )


def _has_list(document: Any, name: str) -> bool:
    return isinstance(document, Mapping) and isinstance(document.get(name), list)


def _sizes_wh(images: Sequence[CocoImage], rows: Int64[np.ndarray, " people"]) -> Float32[np.ndarray, "people 2"]:
    """Width and height of each person's image; infinite where the file does not give them."""
    sizes = np.array([(image.width or np.inf, image.height or np.inf) for image in images], np.float32)
    return sizes.reshape(-1, 2)[rows]


def _of_categories(uri: str, annotations: Sequence[Any], category_ids: Sequence[int]) -> list[tuple[int, Any]]:
    """Annotations of some categories with their positions; malformed entries are kept, `_person` reports them."""
    chosen = [
        (number, annotation)
        for number, annotation in enumerate(annotations)
        if not isinstance(annotation, Mapping) or _category(annotation.get("category_id")) in category_ids
    ]
    annotated_ids = {
        str(annotation.get("category_id")) for annotation in annotations if isinstance(annotation, Mapping)
    }
    if annotations and not chosen:
        raise UserError(
            f"{uri}: annotations: all are of category {', '.join(sorted(annotated_ids))}, but the joints are named in "
            f"category {', '.join(map(str, category_ids))}; give both the same category_id"
        )
    return chosen


def _category(given: Any) -> Any:
    """The id of a category: a number, which some tools write as text."""
    return int(given) if isinstance(given, str) and given.strip().isdecimal() else given


def _person_categories(uri: str, categories: Sequence[Any]) -> tuple[list[int], tuple[str, ...]]:
    """The ids of the categories that are people, and the names of their joints."""
    people_categories = [
        c
        for c in categories
        if isinstance(c, Mapping) and c.get("keypoints") and isinstance(_category(c.get("id")), int)
    ]
    people_categories = [c for c in people_categories if c.get("name") == "person"] or people_categories
    joint_lists = {tuple(spelled(str(joint)) for joint in c["keypoints"]) for c in people_categories}
    if len(joint_lists) != 1:
        raise UserError(
            f"{uri}: categories: one must have the names of its joints (keypoints), or several the same; "
            f"{len(people_categories)} have, {', '.join(str(c.get('name')) for c in people_categories) or 'none'}; "
            "COCO's person_keypoints_*.json have them, its instances_*.json have no joints"
        )
    (joints,) = joint_lists
    if len(set(joints)) < len(joints):
        raise UserError(f"{uri}: categories: keypoints names a joint twice: {', '.join(joints)}")
    return [_category(c["id"]) for c in people_categories], joints


def _images(uri: str, images: Sequence[Any]) -> list[CocoImage]:
    parsed = []
    for number, image in enumerate(images):
        try:
            # Some tools leave out the size.
            size = side_of(image, "width"), side_of(image, "height")
            parsed.append(CocoImage(id_of(image["id"]), str(image["file_name"]), *size))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{uri}: images: number {number}: {entry_error(error)}") from error
    return parsed


def _person(uri: str, number: int, annotation: Any, rows: Mapping[int, int], joints: int) -> tuple[Any, ...]:
    """Id, position of the image, numbers (box, area, joints) and whether it is a crowd."""
    try:
        triples = annotation.get("keypoints") or _NO_JOINT * joints
        if len(triples) != 3 * joints:
            raise ValueError(f"keypoints must be {joints} times x, y, visibility, not {len(triples)} numbers")
        # Tools that annotate only joints leave out box and area; an empty box is later replaced by one around the
        # joints.
        x, y, width, height = annotation.get("bbox") or (0, 0, 0, 0)
        area = annotation.get("area")
        numbers = array("d", [x, y, x + width, y + height, _NO_AREA if area is None else area, *triples])
        # If any number is not finite, the sum is not finite either.
        if not isfinite(sum(numbers)):
            raise ValueError("holds a number that is not finite")
        if not _VISIBILITIES.issuperset(triples[2::3]):
            raise ValueError("visibility must be 0 (not annotated), 1 (hidden) or 2 (seen)")
        # Some tools write ids, which are numbers, as text.
        image_id = id_of(annotation["image_id"])
        if image_id not in rows:
            raise ValueError(f"image_id {annotation['image_id']} is none of the images")
        return id_of(annotation["id"]), rows[image_id], numbers, int(annotation.get("iscrowd") or 0) != 0
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        id_note = f" (id {annotation['id']})" if isinstance(annotation, Mapping) and "id" in annotation else ""
        raise UserError(f"{uri}: annotations: number {number}{id_note}: {entry_error(error)}") from error
