"""What a source of labeled people is: parts that can be read anywhere, by any process, in any order."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped, UInt8

from pipelines.video.isolated import IsolatedReader
from schemas.job_config import JobConfig
from schemas.layouts import JointLayout

# The share of a box that a person covers, as COCO's outlines do on average.
_COVERED = 0.53
# MPII's head size is 0.6 of the diagonal of the head's box. That box is about as high as it is from the neck's base to
# the crown, and three quarters as wide.
_HEAD_SHARE = 0.75
_HEADS = (("upper_neck", "head_top"), ("thorax", "head"))


@dataclass(frozen=True)
class LabeledPeople:
    """The people of one image. Pixel centres count as whole numbers, from 0, as in COCO's files.

    Attributes:
        boxes: (x0, y0, x1, y1) around each, not padded, px.
        keypoints: Their joints, px.
        labeled: Which joints are known, hidden ones too.
        areas: What each covers of the image, px².
        head_sizes_px: By which PCKh divides; NaN where heads are not known.
    """

    boxes: Float32[np.ndarray, "people 4"]
    keypoints: Float32[np.ndarray, "people joints 2"]
    labeled: Bool[np.ndarray, "people joints"]
    areas: Float32[np.ndarray, " people"]
    head_sizes_px: Float32[np.ndarray, " people"]

    def __len__(self) -> int:
        """Number of people."""
        return len(self.boxes)

    @property
    def known(self) -> Bool[np.ndarray, " people"]:
        """Who has a box and a labeled joint: nothing can be learned from the others."""
        return np.any(self.labeled, axis=1) & np.all(np.isfinite(self.boxes), axis=1)

    def chosen(self, people: Shaped[np.ndarray, " _people"]) -> "LabeledPeople":
        """Some of them, by number or mask."""
        names = ("boxes", "keypoints", "labeled", "areas", "head_sizes_px")
        return LabeledPeople(**{name: getattr(self, name)[people] for name in names})


@dataclass(frozen=True)
class LabeledImage:
    """An image with its people.

    Attributes:
        name: Says where it is from.
        pixels: RGB.
        people: Who is in it.
    """

    name: str
    pixels: UInt8[np.ndarray, "height width 3"]
    people: LabeledPeople


@dataclass(frozen=True)
class Unreadable:
    """An image, or a stretch of a video, that cannot be had.

    Attributes:
        name: Which.
        reason: Why, in a line.
    """

    name: str
    reason: str


@runtime_checkable
class Part(Protocol):
    """Some images of a source, few enough to be read at once; travels between processes."""

    @property
    def digest(self) -> str:
        """Of all that decides what is read, pixels left out."""
        ...

    @property
    def images(self) -> int:
        """How many there are."""
        ...

    def read(self, reader: IsolatedReader) -> Iterator[LabeledImage | Unreadable]:
        """The images one after another; pixels may be overwritten by the next one's.

        Args:
            reader: For videos.
        """
        ...


@runtime_checkable
class PeopleSource(Protocol):
    """Labeled people: the same config and files give the same parts.

    `__init__(config)` takes an instance of its `Config` and reads nothing.
    """

    Config: ClassVar[type[JobConfig]]
    """The options under `data.` and `validation.` in a job's config."""

    def parts(self) -> tuple[JointLayout, Sequence[Part]]:
        """The joints that are labeled, and all parts.

        Raises:
            UserError: The files are not what they should be.
        """
        ...


def people_of_joints(
    keypoints: Float[np.ndarray, "people joints 2"],
    labeled: Bool[np.ndarray, "people joints"],
    layout: JointLayout,
    flesh: float = 1.0,
    boxes: Float[np.ndarray, "people 4"] | None = None,
) -> LabeledPeople:
    """People of whom the joints are known, and little more.

    Args:
        keypoints: Joints, px.
        labeled: Which of them are known.
        layout: What they are.
        flesh: What boxes around the joints are enlarged by.
        boxes: Around the people; None: around their joints, which is nowhere without any.
    """
    if boxes is None:
        least = np.where(labeled[..., None], keypoints, np.inf).min(1)
        most = np.where(labeled[..., None], keypoints, -np.inf).max(1)
        margin = np.where(np.any(labeled, axis=1, keepdims=True), (flesh - 1) / 2 * (most - least), np.nan)
        boxes = np.concatenate([least - margin, most + margin], 1)
    sides = boxes[:, 2:] - boxes[:, :2]
    return LabeledPeople(
        boxes=boxes.astype(np.float32),
        keypoints=keypoints.astype(np.float32),
        labeled=labeled,
        areas=np.fmax(_COVERED * sides.prod(1), 1).astype(np.float32),
        head_sizes_px=head_sizes(keypoints, labeled, layout),
    )


def head_sizes(
    keypoints: Float[np.ndarray, "people joints 2"], labeled: Bool[np.ndarray, "people joints"], layout: JointLayout
) -> Float32[np.ndarray, " people"]:
    """Head sizes after MPII's, from the joints at both ends of the head; NaN where they are not known, px.

    Seen from above or below a head is foreshortened, which MPII's boxes are not: PCKh is then the stricter.
    """
    for bottom, top in _HEADS:
        if bottom in layout.joints and top in layout.joints:
            ends = [layout.index(bottom), layout.index(top)]
            lengths = np.linalg.norm(keypoints[:, ends[0]] - keypoints[:, ends[1]], axis=-1)
            return np.where(labeled[:, ends].all(1), _HEAD_SHARE * lengths, np.nan).astype(np.float32)
    return np.full(len(keypoints), np.nan, np.float32)


def digest_of(*facts: object) -> str:
    """A short hash of what decides something."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
