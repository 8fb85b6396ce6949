"""Furniture between a camera and the people, which hides parts of them: sideboards and posts."""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, UInt8

from pipelines.synthetic.cameras import View
from pipelines.synthetic.room import Box, Surroundings, paint_box

# Where on the way from a camera to the people a piece stands, and how far beside this line, m.
_ON_THE_WAY, _BESIDE_M = (0.4, 0.6), 0.9
# Width, depth and height of pieces, m: sideboards, which hide legs, and posts, which hide whatever is behind them.
_SIDEBOARD = (0.4, 0.9), (0.2, 0.4), (0.4, 0.85)
_POST = (0.08, 0.15), (0.08, 0.15), (1.2, 2.2)
_POSTS = 0.4
# Pieces keep away from the people by at least this, m, so that all of them are nearer to the camera.
_APART_M = 0.6
_TRIES = 20


@dataclass(frozen=True)
class Foreground:
    """What a camera sees in front of the people.

    Attributes:
        image: RGB.
        covered: The pixels of `image` that count.
    """

    image: UInt8[np.ndarray, "height width 3"]
    covered: Bool[np.ndarray, "height width"]

    def put_over(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """Hide what is behind; changes the frame in place."""
        frame[self.covered] = self.image[self.covered]

    def shows(self, pixels: Float[np.ndarray, "*shape 2"]) -> Bool[np.ndarray, "*shape"]:
        """Whether points of the picture (px) are not hidden; those beyond its edge are not."""
        height, width = self.covered.shape
        x, y = np.floor(np.nan_to_num(pixels)).astype(int).transpose(-1, *range(pixels.ndim - 1))
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return ~(inside & self.covered[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)])


def put_in_front(
    rng: np.random.Generator,
    view: View,
    joints: Float[np.ndarray, "*shape 3"],
    place: Surroundings,
    pieces: int,
) -> Foreground | None:
    """Put furniture in front of a camera; None if there is none.

    Args:
        rng: Random source of the pieces.
        view: The camera.
        joints: All joints of all people at all times, world, metres.
        place: The surroundings, which light the pieces.
        pieces: How many; one that would touch the people is left out.
    """
    ground = np.asarray(joints, np.float64).reshape(-1, 3)[:, :2]
    boxes = [box for box in (_piece(rng, view, ground) for _ in range(pieces)) if box is not None]
    if not boxes:
        return None
    rays = view.rays().reshape(-1, 3).astype(np.float32)
    nearest: Float32[np.ndarray, " pixels"] = np.full(len(rays), np.inf, np.float32)
    colours = np.zeros_like(rays)
    for box in boxes:
        paint_box(box, place.light, np.array(view.translation, np.float32), rays, nearest, colours)
    image = np.clip(255 * colours * place.brightness, 0, 255).astype(np.uint8).reshape(view.height, view.width, 3)
    # Furniture is as slightly out of focus as the surroundings.
    covered = np.isfinite(nearest).reshape(view.height, view.width)
    return Foreground(np.where(covered[..., None], cv2.GaussianBlur(image, (3, 3), 0), image), covered)


def _piece(rng: np.random.Generator, view: View, ground: Float64[np.ndarray, "points 2"]) -> Box | None:
    """A piece that is nearer to the camera than all people; None if none was found."""
    camera, middle = np.array(view.translation[:2]), (ground.min(axis=0) + ground.max(axis=0)) / 2
    way = middle - camera
    sideways = np.array([-way[1], way[0]]) / np.linalg.norm(way)
    colour = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.1, 0.45), rng.uniform(0.4, 0.85))
    widths_m, depths_m, heights_m = _POST if rng.random() < _POSTS else _SIDEBOARD
    for _ in range(_TRIES):
        centre = camera + rng.uniform(*_ON_THE_WAY) * way + rng.uniform(-_BESIDE_M, _BESIDE_M) * sideways
        half = np.array([rng.uniform(*widths_m), rng.uniform(*depths_m)]) / 2
        if abs(way[0]) > abs(way[1]):
            half = half[::-1]  # the wide side faces the camera
        low, high = centre - half, centre + half
        gap = np.linalg.norm(np.maximum(np.maximum(low - ground, ground - high), 0), axis=1).min()
        in_front = ((ground - camera) @ way).min() > ((np.stack([low, high]) - camera) @ way).max()
        if gap > _APART_M and in_front:
            tall = rng.uniform(*heights_m)
            (x0, y0), (x1, y1) = low.tolist(), high.tolist()
            return Box((x0, y0, 0.0), (x1, y1, tall), colour, rng.uniform(0.3, 0.7))
    return None
