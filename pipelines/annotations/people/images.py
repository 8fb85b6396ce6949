"""Sources of labeled people in image files: annotations in COCO's or MPII's format."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Int64
from pydantic import Field

from pipelines.annotations.coco import in_layout, read_coco
from pipelines.annotations.images import ImageError, read_image
from pipelines.annotations.mpii import LAYOUT as MPII_LAYOUT
from pipelines.annotations.mpii import read_mpii
from pipelines.annotations.people.source import (
    LabeledImage,
    LabeledPeople,
    Part,
    Unreadable,
    digest_of,
    head_sizes,
    people_of_joints,
)
from pipelines.io import storage
from pipelines.io.addresses import inside
from pipelines.pose.in_picture import near_picture
from pipelines.video.isolated import IsolatedReader
from schemas.errors import UserError
from schemas.job_config import Address, JobConfig
from schemas.layouts import JointLayout

# A part of this many images takes seconds to read, and gives tens of megabytes of crops.
_IMAGES_PER_PART = 256

_logger = logging.getLogger(__name__)


class AnnotatedImages(JobConfig):
    """Options of the sources `coco` and `mpii`."""

    annotations: Address = Field(min_length=1)
    """The JSON file with the annotations (any URI)."""

    images: Address = Field(min_length=1)
    """Folder (any URI) that the file names in the annotations are relative to."""


@dataclass(frozen=True)
class ImagesPart:
    """Images with the people in them; a `Part`.

    Attributes:
        digest: Hash of the annotations' file, its part and the folder of the images.
        uris: Addresses of the images.
        sizes: (width, height) of each, px; None where unknown.
        people: The people in each.
        annotations_sha256: Hash of the annotations' file.
    """

    digest: str
    uris: tuple[str, ...]
    sizes: tuple[tuple[int, int] | None, ...]
    people: tuple[LabeledPeople, ...]
    annotations_sha256: str

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.uris)

    def read(self, reader: IsolatedReader) -> Iterator[LabeledImage | Unreadable]:
        """The images one after another."""
        for uri, size_wh, people in zip(self.uris, self.sizes, self.people, strict=True):
            try:
                pixels = read_image(uri, size_wh)
            except ImageError as error:
                yield Unreadable(uri, str(error))
                continue
            height, width, _ = pixels.shape
            farthest = people.keypoints[people.labeled].max(0)
            # Annotations with a picture size were checked when they were read, so only others are checked here.
            if size_wh is None and not near_picture(farthest[None], np.array([[width, height]], np.float32)).all():
                where = " × ".join(f"{value:.0f}" for value in farthest)
                yield Unreadable(uri, f"is {width} × {height} px, but joints are annotated as far as {where}")
            else:
                yield LabeledImage(uri, pixels, people)


class CocoPeople:
    """People in COCO's keypoint format, crowds left out."""

    Config: ClassVar[type[JobConfig]] = AnnotatedImages

    def __init__(self, config: AnnotatedImages) -> None:
        self._config = config

    def parts(self) -> tuple[JointLayout, Sequence[Part]]:
        """The joint layout of the file, or the one that has most of its joints, and its images in parts.

        Raises:
            UserError: The annotations are not in this format, or no layout has their joints.
        """
        annotations = in_layout(read_coco(self._config.annotations))
        layout, labeled = annotations.layout, annotations.visibility > 0
        people = LabeledPeople(
            boxes=annotations.inside(),
            keypoints=annotations.keypoints,
            labeled=labeled & ~annotations.crowds[:, None],
            areas=np.maximum(annotations.areas, 1).astype(np.float32),
            head_sizes_px=head_sizes(annotations.keypoints, labeled, layout),
        )
        _tell(annotations.notes)
        sizes = [(image.width, image.height) if image.width and image.height else None for image in annotations.images]
        names = [image.file_name for image in annotations.images]
        return layout, _parts(self._config, annotations.sha256, names, sizes, annotations.image_rows, people)


class MpiiImages:
    """People in MPII's json lists."""

    Config: ClassVar[type[JobConfig]] = AnnotatedImages

    def __init__(self, config: AnnotatedImages) -> None:
        self._config = config

    def parts(self) -> tuple[JointLayout, Sequence[Part]]:
        """The joint layout of MPII, and the images of the file in parts.

        Raises:
            UserError: The annotations are not in this format.
        """
        mpii = read_mpii(self._config.annotations)
        people = people_of_joints(mpii.keypoints, mpii.annotated, MPII_LAYOUT, boxes=mpii.boxes)
        if mpii.head_sizes_px is not None:
            people = replace(people, head_sizes_px=mpii.head_sizes_px)
        _tell(mpii.notes)
        sizes = [None] * len(mpii.images)
        return MPII_LAYOUT, _parts(self._config, mpii.sha256, mpii.images, sizes, mpii.image_rows, people)


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        _logger.warning(note)


def _parts(
    config: AnnotatedImages,
    annotations_sha256: str,
    names: Sequence[str],
    sizes: Sequence[tuple[int, int] | None],
    image_rows: Int64[np.ndarray, " people"],
    people: LabeledPeople,
) -> list[ImagesPart]:
    """Parts of the images in which at least one person has a labeled joint."""
    folder = storage.absolute(config.images)
    rows = np.flatnonzero(people.known)
    rows = rows[np.argsort(image_rows[rows], kind="stable")]
    images, starts = np.unique(image_rows[rows], return_index=True)
    if not len(images):
        raise UserError(f"{config.annotations}: nobody has a joint annotated; give another file")
    people_of_images = [people.chosen(group) for group in np.split(rows, starts[1:])]
    uris = [inside(folder, names[int(image)]) for image in images]
    sizes_of_images = [sizes[int(image)] for image in images]
    groups = [slice(first, first + _IMAGES_PER_PART) for first in range(0, len(uris), _IMAGES_PER_PART)]
    return [
        ImagesPart(
            digest_of(annotations_sha256, folder, group.start, _IMAGES_PER_PART),
            tuple(uris[group]),
            tuple(sizes_of_images[group]),
            tuple(people_of_images[group]),
            annotations_sha256,
        )
        for group in groups
    ]
