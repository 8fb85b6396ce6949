"""The protocol of a source of labeled people.

A source lists its images in parts; each part can be read by any process, in any order.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped, UInt8

from pipelines.video.isolated import IsolatedReader
from schemas.job_config import JobConfig
from schemas.layouts import JointLayout

# The share of its box that a person covers: the average over COCO's outlines.
_COVERED = 0.53
# The head size as a share of the distance from neck to crown. MPII's head size is 0.6 times the diagonal of the head
# box, which is about as high as that distance and three quarters as wide: 0.6 · (1 + 0.75²)^½ = 0.75.
_HEAD_SHARE = 0.75
_HEADS = (("upper_neck", "head_top"), ("thorax", "head"))


@dataclass(frozen=True)
class LabeledPeople:
    """The people of one image. Pixel centres are whole numbers, the first is 0, as in COCO's files.

    Attributes:
        boxes: (x0, y0, x1, y1) of each person, not padded, px.
        keypoints: Their joints, px.
        labeled: Which joints are labeled, including occluded ones.
        areas: Area that each person covers, px².
        head_sizes_px: Head sizes, the unit of PCKh's distances; NaN where unknown.
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
        """Which people have a box and a labeled joint; the others cannot be trained on."""
        return np.any(self.labeled, axis=1) & np.all(np.isfinite(self.boxes), axis=1)

    def chosen(self, people: Shaped[np.ndarray, " _people"]) -> "LabeledPeople":
        """Some of the people, by index or mask."""
        names = ("boxes", "keypoints", "labeled", "areas", "head_sizes_px")
        return LabeledPeople(**{name: getattr(self, name)[people] for name in names})


@dataclass(frozen=True)
class LabeledImage:
    """An image with its people.

    Attributes:
        name: Address of the image, or of the video with the frame number.
        pixels: RGB.
        people: The labeled people in it.
    """

    name: str
    pixels: UInt8[np.ndarray, "height width 3"]
    people: LabeledPeople


@dataclass(frozen=True)
class Unreadable:
    """An image, or some frames of a video, that cannot be read.

    Attributes:
        name: Address of the image or video.
        reason: The reason in one line.
    """

    name: str
    reason: str


@runtime_checkable
class Part(Protocol):
    """Some images of a source, few enough to be read at once; it is pickled and sent to other processes."""

    @property
    def digest(self) -> str:
        """Hash of everything that determines what is read, except the pixels."""
        ...

    @property
    def images(self) -> int:
        """Number of images."""
        ...

    def read(self, reader: IsolatedReader) -> Iterator[LabeledImage | Unreadable]:
        """The images one after another; reading the next image may overwrite the pixels of the last one.

        Args:
            reader: Reads the frames of videos.
        """
        ...


@runtime_checkable
class PeopleSource(Protocol):
    """Labeled people; the same config and files give the same parts.

    `__init__(config)` takes an instance of its `Config` and reads no file.
    """

    Config: ClassVar[type[JobConfig]]
    """The options under `data.` and `validation.` in a job's config."""

    def parts(self) -> tuple[JointLayout, Sequence[Part]]:
        """The layout of the labeled joints, and all parts.

        Raises:
            UserError: The files are missing or have another format.
        """
        ...


def people_of_joints(
    keypoints: Float[np.ndarray, "people joints 2"],
    labeled: Bool[np.ndarray, "people joints"],
    layout: JointLayout,
    flesh: float = 1.0,
    boxes: Float[np.ndarray, "people 4"] | None = None,
) -> LabeledPeople:
    """People whose boxes, areas and head sizes are estimated from their joints.

    Args:
        keypoints: Joints, px.
        labeled: Which joints are known.
        layout: Joint layout of the keypoints.
        flesh: Factor by which boxes around the joints are enlarged.
        boxes: Boxes of the people; None: around their joints, NaN for people without a known joint.
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
    """Head sizes like MPII's, px, from the joints at both ends of the head; NaN where these are unknown.

    From above or below the head is foreshortened, unlike MPII's head boxes, which makes PCKh stricter.
    """
    for bottom, top in _HEADS:
        if bottom in layout.joints and top in layout.joints:
            ends = [layout.index(bottom), layout.index(top)]
            lengths = np.linalg.norm(keypoints[:, ends[0]] - keypoints[:, ends[1]], axis=-1)
            return np.where(labeled[:, ends].all(1), _HEAD_SHARE * lengths, np.nan).astype(np.float32)
    return np.full(len(keypoints), np.nan, np.float32)


def digest_of(*facts: object) -> str:
    """A short hash of some values."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
