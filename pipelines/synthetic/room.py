"""The surroundings: a room or a lawn, ray traced through the lens so that its lines bend with the distortion."""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from pipelines.synthetic import textures
from pipelines.synthetic.cameras import View
from pipelines.synthetic.wardrobe import Colour

Rays = Float32[np.ndarray, "pixels 3"]
Colours = Float[np.ndarray, "pixels 3"]

# Outdoors, everything beyond this distance is haze, m.
_HORIZON_M = 60.0


@dataclass(frozen=True)
class Box:
    """A piece of furniture: a block with its sides along the axes.

    Attributes:
        low: Lower corner, metres.
        high: Upper corner, metres.
        colour: Colour of the paint.
        boards: Width of the boards that its sides are divided into, metres.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: Colour
    boards: float


@dataclass(frozen=True)
class Surroundings:
    """The place where the people are.

    Attributes:
        half_size: Distance of the walls from the middle, metres; None outdoors.
        ground: Pattern of the ground over x and y.
        wall: Pattern of the walls over the position along them and the height.
        boxes: Furniture.
        light: Unit direction to the lamp.
        brightness: Factor on the colours of everything except people.
        trees: Heights of the tree line around the horizon, as tangents of the elevation; used outdoors.
        seat_colour: Colour of the stools.
    """

    half_size: float | None
    ground: textures.Texture
    wall: textures.Texture
    boxes: tuple[Box, ...]
    light: Float64[np.ndarray, " 3"]
    brightness: float
    trees: Float64[np.ndarray, " azimuths"]
    seat_colour: Colour


def sample_surroundings(rng: np.random.Generator, reach: float) -> Surroundings:
    """Choose random surroundings; all cameras and people are within `reach` metres of the middle along x and y."""
    elevation, azimuth = np.deg2rad(rng.uniform(50, 72)), rng.uniform(0, 2 * np.pi)
    light = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    outdoors = rng.random() < 0.3
    half_size = None if outdoors else reach + rng.uniform(0.8, 2.0)
    return Surroundings(
        half_size=half_size,
        ground=_lawn(rng) if outdoors else _floor(rng),
        wall=_wall(rng),
        boxes=() if half_size is None else _furniture(rng, half_size),
        light=np.array(light),
        brightness=float(rng.uniform(0.75, 1.08)),
        trees=_tree_line(rng),
        seat_colour=_colour(rng, (0.0, 1.0), 0.5, (0.4, 0.75)),
    )


def _colour(
    rng: np.random.Generator, hue: tuple[float, float], saturation: float, value: tuple[float, float]
) -> Colour:
    return colorsys.hsv_to_rgb(rng.uniform(*hue) % 1, rng.uniform(0.3, 1) * saturation, rng.uniform(*value))


def _tree_line(rng: np.random.Generator) -> Float64[np.ndarray, " azimuths"]:
    azimuth = np.arange(0, 360, 0.25)
    crowns = [
        rng.uniform(0.4, 1) * np.abs(np.sin(rng.integers(9, 60) * np.deg2rad(azimuth) + rng.uniform(0, 6)))
        for _ in range(4)
    ]
    return 0.04 + 0.07 * np.max(crowns, axis=0) + rng.uniform(0, 0.006, len(azimuth))


def _lawn(rng: np.random.Generator) -> textures.Texture:
    if rng.random() < 0.6:
        return textures.mottled(rng, _colour(rng, (0.19, 0.27), 0.5, (0.42, 0.55)), grain=0.03, contrast=0.08)
    return textures.tiles(rng, _colour(rng, (0.05, 0.15), 0.15, (0.6, 0.75)))


def _floor(rng: np.random.Generator) -> textures.Texture:
    match rng.integers(3):
        case 0:
            floor = textures.planks(rng, _colour(rng, (0.06, 0.1), 0.5, (0.5, 0.8)))
        case 1:
            floor = textures.tiles(rng, _colour(rng, (0.0, 1.0), 0.15, (0.6, 0.85)))
        case _:
            floor = textures.mottled(rng, _colour(rng, (0.0, 1.0), 0.3, (0.45, 0.7)))
    if rng.random() < 0.4:
        floor = textures.with_rug(floor, rng, _colour(rng, (0.0, 1.0), 0.35, (0.4, 0.62)))
    return floor


def _wall(rng: np.random.Generator) -> textures.Texture:
    match rng.integers(3):
        case 0:
            wall = textures.mottled(rng, _colour(rng, (0.0, 1.0), 0.25, (0.7, 0.92)), contrast=0.015)
        case 1:
            wall = textures.panels(rng, _colour(rng, (0.05, 0.65), 0.25, (0.65, 0.9)))
        case _:
            wall = textures.bricks(rng, _colour(rng, (0.02, 0.08), 0.5, (0.5, 0.75)))
    return textures.with_frames(wall, rng) if rng.random() < 0.7 else wall


def _furniture(rng: np.random.Generator, half_size: float) -> tuple[Box, ...]:
    boxes = []
    for _ in range(rng.integers(2, 7)):
        long, deep, tall = rng.uniform(0.5, 1.8), rng.uniform(0.35, 0.6), rng.uniform(0.4, 1.9)
        along, wall = rng.uniform(-0.8, 0.8) * half_size, rng.integers(4)
        near, far = half_size - deep, half_size
        low, high = [(near, along, 0.0), (along, near, 0.0), (-far, along, 0.0), (along, -far, 0.0)][wall], ()
        x, y, _ = low
        size = (deep, long, tall) if wall in (0, 2) else (long, deep, tall)
        high = (x + size[0], y + size[1], tall)
        boxes.append(Box(low, high, _colour(rng, (0.0, 1.0), 0.45, (0.4, 0.85)), rng.uniform(0.3, 0.7)))
    return tuple(boxes)


def paint_surroundings(place: Surroundings, view: View) -> UInt8[np.ndarray, "height width 3"]:
    """The scene without people, as the camera sees it."""
    rays = view.rays().reshape(-1, 3).astype(np.float32)
    origin = np.array(view.translation, np.float32)
    nearest = np.full(len(rays), np.inf, np.float32)
    colours = _sky(place, rays) if place.half_size is None else _walls(place, place.half_size, origin, rays, nearest)
    _paint_ground(place, origin, rays, nearest, colours)
    for box in place.boxes:
        paint_box(box, place.light, origin, rays, nearest, colours)
    image = np.clip(colours * place.brightness, 0, 1).reshape(view.height, view.width, 3)
    # The surroundings are slightly out of focus: patterns finer than a pixel would flicker, and cameras focus on
    # people.
    return cv2.GaussianBlur((255 * image).astype(np.uint8), (0, 0), 0.0012 * view.width)


def _sky(place: Surroundings, rays: Rays) -> Colours:
    slope = rays[:, 2] / np.hypot(rays[:, 0], rays[:, 1])
    azimuth = np.mod(np.arctan2(rays[:, 1], rays[:, 0]), 2 * np.pi)
    up = np.clip(slope / 0.5, 0, 1)[:, None]
    sky = (1 - up) * np.array([0.88, 0.91, 0.93], np.float32) + up * np.array([0.50, 0.68, 0.90], np.float32)
    line = np.interp(azimuth, np.linspace(0, 2 * np.pi, len(place.trees)), place.trees, period=2 * np.pi)
    leaves = np.array([0.30, 0.40, 0.28], np.float32) * (0.8 + 2.5 * slope / 1.2)[:, None]
    return np.where((slope < line)[:, None], leaves, sky).astype(np.float32)


def _walls(
    place: Surroundings, half_size: float, origin: np.ndarray, rays: Rays, nearest: Float32[np.ndarray, " pixels"]
) -> Colours:
    colours = np.zeros_like(rays)
    for axis in (0, 1):
        for sign in (-1, 1):
            distance = (sign * half_size - origin[axis]) / rays[:, axis]
            hit = (distance > 0) & (distance < nearest)
            nearest[hit] = distance[hit]
            point = origin + distance[hit, None] * rays[hit]
            # The pattern is shifted from wall to wall so that walls differ; each has its own angle to the lamp.
            along = sign * point[:, 1 - axis] + 3.3 * axis
            level = 0.80 + 0.14 * max(-sign * float(place.light[axis]), 0) * 2
            corner = 1 - 0.18 * np.exp(-np.abs(point[:, 2]) / 0.12)
            colours[hit] = place.wall(along, point[:, 2]) * (level * corner)[:, None]
    return colours


def _paint_ground(
    place: Surroundings, origin: np.ndarray, rays: Rays, nearest: Float32[np.ndarray, " pixels"], colours: Colours
) -> None:
    distance = np.where(rays[:, 2] < -1e-4, -origin[2] / np.minimum(rays[:, 2], -1e-4), np.inf)
    hit = (distance < nearest) & (distance < _HORIZON_M)
    nearest[hit] = distance[hit]
    point = origin + distance[hit, None] * rays[hit]
    radius = np.hypot(point[:, 0], point[:, 1])
    # Indoors the floor is brightest below the lamp in the middle; outdoors the ground fades into haze.
    pool = 0.72 + 0.28 * np.exp(-((radius / 6) ** 2)) if place.half_size else np.full(len(point), 0.95, np.float32)
    ground = place.ground(point[:, 0], point[:, 1]) * pool[:, None]
    haze = np.clip(radius / _HORIZON_M, 0, 1)[:, None] if place.half_size is None else 0.0
    colours[hit] = (1 - haze) * ground + haze * np.array([0.75, 0.80, 0.76], np.float32)


def paint_box(
    box: Box,
    light: Float64[np.ndarray, " 3"],
    origin: np.ndarray,
    rays: Rays,
    nearest: Float32[np.ndarray, " pixels"],
    colours: Colours,
) -> None:
    """Paint a piece of furniture where nothing is in front of it.

    Args:
        box: The piece.
        light: Unit direction to the lamp.
        origin: Place of the camera, metres.
        rays: Direction of each pixel's ray.
        nearest: Distance of what is painted so far, in lengths of the rays; changed in place.
        colours: What is painted so far; changed in place.
    """
    # The intersection is found by the slab method of Kay and Kajiya (1986).
    with np.errstate(divide="ignore"):
        slabs = (np.array([box.low, box.high], np.float32)[:, None] - origin) / rays
    enters = slabs.min(axis=0)
    entry, leave = enters.max(axis=1), slabs.max(axis=0).min(axis=1)
    hit = (entry > 0) & (entry < leave) & (entry < nearest + 1e-3)
    nearest[hit] = entry[hit]
    axis = enters[hit].argmax(axis=1)
    point = origin + entry[hit, None] * rays[hit]
    towards = -np.sign(rays[hit, axis])
    level = 0.62 + 0.35 * np.clip(towards * light[axis], 0, 1)
    along = np.where(axis == 0, point[:, 1], point[:, 0])
    joint = (axis < 2) & (np.abs(along / box.boards - np.round(along / box.boards)) < 0.02 / box.boards)
    level = np.where(joint, 0.75 * level, level)
    colours[hit] = np.array(box.colour, np.float32) * level[:, None]
