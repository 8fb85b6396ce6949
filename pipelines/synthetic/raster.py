"""Rasterises a frame: shaded polygons by the painter's algorithm, and soft shadows on the ground."""

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int, UInt8

from pipelines.synthetic.cameras import View
from pipelines.synthetic.meshes import Surface

# Polygons are filled at this many times the resolution and then averaged, for smooth edges.
_OVERSAMPLING = 2
# Number of fractional bits in OpenCV's integer coordinates.
_SHIFT = 4
# Shadows are drawn at a quarter of the resolution, because they are blurred anyway.
_SHADOW_SCALE = 4

# A surface with the world positions of its vertices; their number differs between things.
Thing = tuple[Surface, Float64[np.ndarray, "_ 3"]]
Image = UInt8[np.ndarray, "height width 3"]


def shade(
    albedo: Float64[np.ndarray, "faces 3"],
    normals: Float64[np.ndarray, "faces 3"],
    towards_camera: Float64[np.ndarray, "faces 3"],
    light: Float64[np.ndarray, " 3"],
) -> Float64[np.ndarray, "faces 3"]:
    """Shaded colours, 0 to 255, from a lamp, a bright sky above a dim ground, and edges darkened as on cloth and skin.

    Args:
        albedo: Colours 0 to 1.
        normals: Outward unit normals.
        towards_camera: Unit directions to the camera.
        light: Unit direction to the lamp.
    """
    # Wrapped diffuse light reaches faces that are turned slightly away from the lamp, as a large lamp does.
    diffuse = np.clip((normals @ light + 0.35) / 1.35, 0, None)
    sky = 0.5 + 0.5 * normals[:, 2]
    facing = np.clip((normals * towards_camera).sum(axis=1), 0, 1)
    level = (0.26 + 0.24 * sky + 0.58 * diffuse) * (0.78 + 0.22 * facing)
    return 255 * np.clip(albedo * level[:, None], 0, 1)


def paint(image: Image, view: View, light: Float64[np.ndarray, " 3"], things: list[Thing]) -> None:
    """Paint surfaces over an image, the farthest face first.

    Args:
        image: Changed in place.
        view: The camera; its projection is exact for every corner.
        light: Unit direction to the lamp.
        things: Surfaces with the world positions of their vertices.
    """
    starts = np.concatenate([[0], np.cumsum([len(vertices) for _, vertices in things])[:-1]])
    vertices = np.concatenate([vertices for _, vertices in things])
    faces = np.concatenate([surface.faces + start for (surface, _), start in zip(things, starts, strict=True)])
    colours = np.concatenate([surface.colours for surface, _ in things])
    nearer = np.concatenate([surface.nearer for surface, _ in things])

    corners = vertices[faces]
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    towards = np.array(view.translation) - corners.mean(axis=1)
    front = (normals * towards).sum(axis=1) > 0
    distance = np.linalg.norm(towards[front], axis=1)
    normals = normals[front] / (np.linalg.norm(normals[front], axis=1, keepdims=True) + 1e-12)
    shades = shade(colours[front], normals, towards[front] / distance[:, None], light)
    order = np.argsort(nearer[front] - distance, kind="stable")
    _fill(image, view.project(vertices), faces[front][order], shades[order])


def _fill(
    image: Image,
    pixels: Float64[np.ndarray, "vertices 2"],
    faces: Int[np.ndarray, "faces 4"],
    shades: Float64[np.ndarray, "faces 3"],
) -> None:
    height, width = image.shape[:2]
    x0, y0 = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 1, 0, (width - 1, height - 1)).tolist()
    x1, y1 = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 2, 1, (width, height)).tolist()
    size = (_OVERSAMPLING * (x1 - x0), _OVERSAMPLING * (y1 - y0))
    canvas = cv2.resize(image[y0:y1, x0:x1], size, interpolation=cv2.INTER_NEAREST)
    # OpenCV puts the centre of the first pixel at (0, 0); here its corner is there.
    unit = 1 << _SHIFT
    corners = np.round(((pixels - (x0, y0)) * _OVERSAMPLING - 0.5) * unit).astype(np.int32)
    for polygon, colour in zip(corners[faces], shades.tolist(), strict=True):
        cv2.fillConvexPoly(canvas, polygon, colour, cv2.LINE_8, _SHIFT)
    image[y0:y1, x0:x1] = cv2.resize(canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)


def cast_shadows(image: Image, view: View, light: Float64[np.ndarray, " 3"], things: list[Thing], depth: float) -> None:
    """Darken the ground where something is between it and the lamp.

    Args:
        image: Changed in place.
        view: The camera.
        light: Unit direction to the lamp.
        things: Surfaces with the world positions of their vertices.
        depth: Darkness in the middle of a shadow, 0 to 1.
    """
    height, width = image.shape[:2]
    mask = np.zeros((height // _SHADOW_SCALE, width // _SHADOW_SCALE), np.uint8)
    for surface, vertices in things:
        ground = vertices - vertices[:, 2:] * (light / light[2])
        pixels = (view.project(ground) / _SHADOW_SCALE).astype(np.float32)
        for part in np.split(pixels, np.flatnonzero(np.diff(surface.parts)) + 1):
            hull = cv2.convexHull(part)
            cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), 255)
    if not mask.any():
        return
    soft: Float32[np.ndarray, "h w"] = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), width / 400)
    lit = 1 - depth / 255 * cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    rows = np.flatnonzero((lit < 1).any(axis=1))
    columns = np.flatnonzero((lit < 1).any(axis=0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image[window] = (image[window] * lit[window][..., None]).astype(np.uint8)
