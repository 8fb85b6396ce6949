"""Patterns of grounds and walls: colour as a function of the position in metres."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float

from pipelines.synthetic.wardrobe import Colour

Plane = Float[np.ndarray, " pixels"]
Colours = Float[np.ndarray, "pixels 3"]
Texture = Callable[[Plane, Plane], Colours]


class Noise:
    """Smooth random values, mostly within ±1, that repeat after `period` metres.

    Args:
        rng: Draws the values.
        grain: Size of the smallest feature, metres.
        octaves: How many larger scales are added, each of twice the size.
    """

    _CELLS = 128

    def __init__(self, rng: np.random.Generator, grain: float, octaves: int = 3) -> None:
        field = np.zeros((self._CELLS, self._CELLS), np.float32)
        for octave in range(octaves):
            coarse = rng.normal(size=(self._CELLS >> octave,) * 2).astype(np.float32)
            field += cv2.resize(coarse, (self._CELLS, self._CELLS), interpolation=cv2.INTER_CUBIC)
        self._field, self._grain = field / np.float32(np.sqrt(octaves)), grain

    def __call__(self, u: Plane, v: Plane) -> Plane:
        """Values at positions (m)."""
        x, y = (np.mod(w / self._grain, self._CELLS).astype(np.float32) for w in (u, v))
        # cv2.remap needs a 2D image of fewer than 32768 rows, so the list of positions is folded.
        rows = len(x) // 1024 + 1
        folded = [np.resize(w, (rows, 1024)) for w in (x, y)]
        values = cv2.remap(self._field, folded[0], folded[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return values.ravel()[: len(x)]


def _hash(i: Plane, j: Plane) -> Plane:
    """A random-looking value 0 to 1 for each pair of whole numbers (the usual sine hash)."""
    return np.mod(np.abs(np.sin(i * 12.9898 + j * 78.233)) * 43758.547, 1.0).astype(np.float32)


def _gap(position: Plane, width: float) -> Plane:
    """1 in the middle of the line at each whole number, falling to 0 at `width`."""
    return np.clip(1 - np.abs(position - np.round(position)) / width, 0, 1)


def _tinted(colour: Colour, level: Plane) -> Colours:
    return np.asarray(colour, np.float32) * level[:, None]


def planks(rng: np.random.Generator, colour: Colour) -> Texture:
    """A wooden floor."""
    width, length, grain = rng.uniform(0.12, 0.2), rng.uniform(1.2, 2.0), Noise(rng, 0.03)

    def texture(u: Plane, v: Plane) -> Colours:
        row = np.floor(v / width)
        along = u / length + _hash(row, row + 7)
        level = 0.86 + 0.2 * _hash(row, np.floor(along)) + 0.03 * grain(u / 6, v)
        level -= 0.28 * np.maximum(_gap(v / width, 0.06), _gap(along, 0.006))
        return _tinted(colour, level)

    return texture


def tiles(rng: np.random.Generator, colour: Colour) -> Texture:
    """A tiled floor, plain or chequered."""
    size, contrast, speckle = rng.uniform(0.35, 0.6), rng.choice((0.05, 0.05, 0.3)), Noise(rng, 0.02)

    def texture(u: Plane, v: Plane) -> Colours:
        i, j = np.floor(u / size), np.floor(v / size)
        level = 0.95 - contrast * np.mod(i + j, 2) + 0.05 * _hash(i, j) + 0.02 * speckle(u, v)
        level -= 0.22 * np.maximum(_gap(u / size, 0.025), _gap(v / size, 0.025))
        return _tinted(colour, level)

    return texture


def mottled(rng: np.random.Generator, colour: Colour, grain: float = 0.02, contrast: float = 0.05) -> Texture:
    """Carpet, concrete, grass or paint: one colour with random variation."""
    fine, broad = Noise(rng, grain), Noise(rng, 0.5)

    def texture(u: Plane, v: Plane) -> Colours:
        return _tinted(colour, 0.97 + contrast * fine(u, v) + 0.6 * contrast * broad(u, v))

    return texture


def bricks(rng: np.random.Generator, colour: Colour) -> Texture:
    """A brick wall."""
    rough = Noise(rng, 0.02)
    length, height = 0.25, 0.085

    def texture(u: Plane, v: Plane) -> Colours:
        row = np.floor(v / height)
        along = u / length + 0.5 * np.mod(row, 2)
        level = 0.85 + 0.25 * _hash(row, np.floor(along)) + 0.03 * rough(u, v)
        level += 0.18 * np.maximum(_gap(v / height, 0.12), _gap(along, 0.05))
        return _tinted(colour, level)

    return texture


def panels(rng: np.random.Generator, colour: Colour) -> Texture:
    """Painted panels with a darker wainscot and a skirting board."""
    width, top, lower = rng.uniform(0.5, 1.2), rng.uniform(0.8, 1.1), rng.uniform(0.6, 0.9)
    paint = mottled(rng, colour, contrast=0.012)

    def texture(u: Plane, v: Plane) -> Colours:
        below = v < top
        level = np.where(below, lower, 1.0) - 0.12 * below * _gap(u / width, 0.02)
        level += 0.12 * (np.abs(v - top) < 0.025)
        return paint(u, v) * level[:, None]

    return texture


def with_rug(ground: Texture, rng: np.random.Generator, colour: Colour) -> Texture:
    """A rug with a border in the middle of a floor."""
    half_u, half_v = rng.uniform(1.2, 2.2), rng.uniform(0.9, 1.6)
    pile = mottled(rng, colour, contrast=0.06)

    def texture(u: Plane, v: Plane) -> Colours:
        inside = np.maximum(np.abs(u) / half_u, np.abs(v) / half_v)
        border = (inside > 0.86) & (inside < 0.93)
        rug = pile(u, v) * np.where(border, 1.35, 1.0)[:, None]
        return np.where((inside < 1)[:, None], rug, ground(u, v))

    return texture


def with_frames(wall: Texture, rng: np.random.Generator) -> Texture:
    """Pictures and windows on a wall."""
    frames = []
    for centre in np.arange(-7, 7, rng.uniform(1.8, 2.6)):
        half, low, high = rng.uniform(0.25, 0.7), rng.uniform(0.9, 1.4), rng.uniform(1.8, 2.3)
        window = rng.random() < 0.4
        inner = (0.80, 0.90, 0.98) if window else tuple(rng.uniform(0.25, 0.85) + rng.uniform(-0.12, 0.12, 3))
        frames.append((centre + rng.uniform(-0.3, 0.3), half, low, high, inner, window))

    def texture(u: Plane, v: Plane) -> Colours:
        colours = wall(u, v).astype(np.float32)
        for centre, half, low, high, inner, window in frames:
            inside = np.flatnonzero((np.abs(u - centre) < half) & (v > low) & (v < high))
            x, y = (u[inside] - centre) / half, (2 * v[inside] - low - high) / (high - low)
            level = 0.9 + 0.12 * y if window else 0.8 + 0.3 * (x * y > 0)
            rim = np.maximum(np.abs(x), np.abs(y)) > 0.88
            bars = window & (np.minimum(np.abs(x), np.abs(y)) < 0.05)
            fill = np.asarray(inner, np.float32) * level[:, None]
            colours[inside] = np.where((rim | bars)[:, None], 0.93 if window else 0.22, fill)
        return colours

    return texture
