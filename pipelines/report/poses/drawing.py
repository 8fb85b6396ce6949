"""Draws skeletons, the ground and curves on images with OpenCV; colours are RGB."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from pipelines.report.poses.stage import Stage

Image = UInt8[np.ndarray, "height width 3"]
Colour = tuple[int, int, int]
Bones = Sequence[tuple[int, int, str]]

BACKGROUND, PANEL, GROUND, SHADOW = (18, 22, 27), (26, 32, 39), (66, 76, 87), (12, 15, 18)
TEXT, MUTED, ACCENT, SHADE = (230, 234, 239), (152, 163, 175), (110, 165, 247), (44, 52, 61)
SIDES: dict[str, Colour] = {
    "left": (63, 162, 255),
    "right": (255, 138, 48),
    "centre": (214, 221, 228),
    "unseen": MUTED,
}
# The colours of the curves of different people.
PEOPLE: tuple[Colour, ...] = (ACCENT, (85, 196, 151), (217, 130, 198), (203, 176, 82), (127, 192, 216))

# Fractional bits of fixed-point coordinates for OpenCV: an eighth of a pixel.
_SHIFT = 3
# Keypoints with a lower score are drawn thin.
_UNSURE = 0.3
# Points nearer to the camera than this, or behind it, are drawn as if they were this far away, m.
_NEAREST_M = 0.1


def line(image: Image, start: Any, end: Any, colour: Colour, width: float) -> None:
    """Draw an antialiased line between two points, px."""
    ends = [tuple(int(v) for v in np.rint(np.clip(point, -1e4, 1e4) * 2**_SHIFT)) for point in (start, end)]
    cv2.line(image, ends[0], ends[1], colour, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def dot(image: Image, centre: Any, colour: Colour, radius: float) -> None:
    """Draw an antialiased disc, px."""
    x, y = (int(v) for v in np.rint(np.clip(centre, -1e4, 1e4) * 2**_SHIFT))
    cv2.circle(image, (x, y), max(1, round(radius * 2**_SHIFT)), colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def text(image: Image, words: str, left: float, baseline: float, size_px: int, colour: Colour = TEXT) -> None:
    """Draw a text that begins at a point, px."""
    cv2.putText(image, words, (round(left), round(baseline)), colour, _font(), size_px, 500)


def text_width(words: str, size_px: int) -> int:
    """Width of a text, px."""
    return cv2.getTextSize((1, 1), words, (0, 0), _font(), size_px, 500)[2]


def skeleton_2d(
    image: Image,
    points: Float[np.ndarray, "joints 2"],
    scores: Float[np.ndarray, " joints"],
    bones: Bones,
    unseen: bool,
) -> None:
    """Draw keypoints (px) over a picture; bones are thin if their scores are low or the person is interpolated."""
    width = max(image.shape[:2]) / 170
    for rim in (True, False):
        for child, parent, side in bones:
            thin = unseen or min(scores[child], scores[parent]) < _UNSURE
            extra = width * 0.8 if rim else 0
            line(
                image,
                points[child],
                points[parent],
                (0, 0, 0) if rim else SIDES[side],
                width * (0.4 if thin else 1) + extra,
            )
    for point in points:
        dot(image, point, (255, 255, 255), width * (0.5 if unseen else 0.75))


@dataclass(frozen=True)
class Eye:
    """The virtual camera of the 3D view, slightly above the stage and swinging slowly around it.

    Attributes:
        centre: The point it looks at, m.
        distance_m: Distance from that point, m.
        focal_px: Focal length, px.
        width: Width of the image, px.
        height: Height of the image, px.
    """

    centre: Float[np.ndarray, "3"]
    distance_m: float
    focal_px: float
    width: int
    height: int

    # Angles are in degrees. The view swings between MIDDLE - SWING and MIDDLE + SWING; 0 is where the video's camera
    # stood.
    ELEVATION, MIDDLE, SWING = 16.0, -20.0, 25.0
    SWING_S = 16.0
    FIELD_OF_VIEW = 30.0
    # The stage fills this share of the image.
    FILL = 0.92

    @classmethod
    def of(cls, stage: Stage, width: int, height: int) -> "Eye":
        """The nearest camera that sees the whole stage from everywhere on its path."""
        focal_px = max(width, height) / 2 / np.tan(np.radians(cls.FIELD_OF_VIEW / 2))
        centre = (stage.low + stage.high) / 2
        corners = np.stack(np.meshgrid(*zip(stage.low, stage.high, strict=True)), axis=-1).reshape(-1, 3) - centre
        slopes = np.array([width, height]) / 2 / focal_px * cls.FILL
        needed = []
        for turn in np.linspace(-1, 1, 9):
            rotated = corners @ _turn(cls.MIDDLE + cls.SWING * turn, cls.ELEVATION).T
            needed.append((np.abs(rotated[:, :2]) / slopes - rotated[:, 2:]).max())
        return cls(centre, float(max(needed)), float(focal_px), width, height)

    def project(self, points: Float[np.ndarray, "*shape 3"], time_s: float) -> Float[np.ndarray, "*shape 3"]:
        """(x px, y px, depth m) of points in the stage's space."""
        azimuth = self.MIDDLE + self.SWING * np.sin(2 * np.pi * time_s / self.SWING_S)
        rotated = (points - self.centre) @ _turn(azimuth, self.ELEVATION).T
        depth = np.maximum(rotated[..., 2:] + self.distance_m, _NEAREST_M)
        flat = rotated[..., :2] / depth * self.focal_px + np.array([self.width, self.height]) / 2
        return np.concatenate([flat, depth], axis=-1)


def ground(image: Image, stage: Stage, eye: Eye, time_s: float) -> None:
    """Draw the squares of the ground."""
    (x0, y0, z), (x1, y1, _) = stage.low, stage.high
    corners = eye.project(np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]]), time_s)
    outline = np.rint(corners[:, :2] * 2**_SHIFT).astype(np.int32)
    cv2.fillConvexPoly(
        image, outline, tuple((a + b) // 2 for a, b in zip(PANEL, SHADE, strict=True)), cv2.LINE_AA, _SHIFT
    )
    steps = [np.arange(low, high + 1e-6, stage.cell_m) for low, high in ((x0, x1), (y0, y1))]
    lines = [((x, y0, z), (x, y1, z)) for x in steps[0]] + [((x0, y, z), (x1, y, z)) for y in steps[1]]
    for start, end in eye.project(np.array(lines), time_s):
        line(image, start[:2], end[:2], GROUND, 1)


def skeletons_3d(
    image: Image, people: Sequence[tuple[Float[np.ndarray, "joints 3"], Bones]], stage: Stage, eye: Eye, time_s: float
) -> None:
    """Draw people (m, in the stage's space) and their shadows, the farthest bones first so that nearer ones win."""
    width = image.shape[0] / 110
    limbs = []
    for joints, bones in people:
        projected = eye.project(joints, time_s)
        flat = eye.project(joints * [1, 1, 0] + [0, 0, stage.low[2]], time_s)
        for child, parent, side in bones:
            line(image, flat[child, :2], flat[parent, :2], SHADOW, width * 0.5)
            limbs.append((projected[[child, parent]], side))
    for ends, side in sorted(limbs, key=lambda limb: -limb[0][:, 2].mean()):
        near, colour = width * eye.distance_m / ends[:, 2].mean(), SIDES[side]
        if side == "unseen":
            line(image, ends[0, :2], ends[1, :2], colour, near * 0.3)
            continue
        line(image, ends[0, :2], ends[1, :2], colour, near)
        for x, y, _ in ends:
            dot(image, (x, y), colour, near * 0.72)


def curve(
    image: Image,
    values: Float[np.ndarray, " columns"],
    shaded: Bool[np.ndarray, " columns"],
    top: float,
    colour: Colour,
) -> None:
    """Draw one value per column of the image; `top` is the value at the upper edge, NaN is left out."""
    height, width = image.shape[:2]
    for column in np.flatnonzero(shaded):
        image[:, column] = np.maximum(image[:, column], SHADE)
    heights = (height - 2) - np.minimum(values / top, 1) * (height - 4)
    for column in range(1, width):
        ends = heights[column - 1 : column + 1]
        if np.isfinite(ends).all():
            line(image, (column - 1, ends[0]), (column, ends[1]), colour, 1)


def _turn(azimuth_deg: float, elevation_deg: float) -> Float[np.ndarray, "3 3"]:
    """The rotation from the stage's axes to the camera's (x right, y down, z forward)."""
    a, e = np.radians(azimuth_deg), np.radians(elevation_deg)
    right = np.array([np.cos(a), np.sin(a), 0])
    forward = np.array([-np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), -np.sin(e)])
    return np.stack([right, np.cross(forward, right), forward])


@cache
def _font() -> Any:
    """OpenCV's built-in sans-serif font."""
    return cv2.FontFace("sans")
