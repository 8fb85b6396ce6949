"""Places cameras around a recorded motion, like those of a motion-capture studio."""

import math

import numpy as np
from jaxtyping import Float, Float64

from pipelines.synthetic.cameras import View, matrix_to_quaternion, sample_intrinsics

# This share of the image stays free around the joints, and no joint is nearer to the camera than this, m.
_MARGIN, _NEAREST_M = 0.04, 1.0
# A camera that does not see every joint is moved away by this factor until it does.
_STEP_BACK = 1.05


def surround(
    rng: np.random.Generator,
    positions: Float[np.ndarray, "frames joints 3"],
    views: int,
    distance_m: tuple[float, float],
    height_m: tuple[float, float],
    size: tuple[int, int],
) -> list[View]:
    """Cameras all around the middle of a motion, each with every joint in view in every frame.

    Their intrinsics are like those of Human3.6M (`sample_intrinsics`). If a person who walks about
    does not stay in view at the requested distance, the camera is moved back until they do.

    Args:
        rng: Generator of positions and intrinsics.
        positions: World, z up, m.
        views: How many cameras.
        distance_m: Least and greatest horizontal distance from the middle.
        height_m: Least and greatest height above the ground.
        size: Width and height of the image, px.
    """
    cloud = np.asarray(positions, np.float64).reshape(-1, 3)
    middle = (cloud.min(0) + cloud.max(0)) / 2
    first = rng.uniform(0, 2 * math.pi)
    cameras = []
    for number in range(views):
        azimuth = first + 2 * math.pi * (number + rng.uniform(-0.15, 0.15)) / views
        distance, height, roll = rng.uniform(*distance_m), rng.uniform(*height_m), math.radians(rng.uniform(-1.5, 1.5))
        intrinsics = sample_intrinsics(rng, *size)
        while True:
            x, y = middle[:2] + distance * np.array([math.cos(azimuth), math.sin(azimuth)])
            place = np.array([x, y, height])
            orientation = matrix_to_quaternion(_look(place, middle, roll))
            view = View(f"C{number}", intrinsics, orientation, (float(x), float(y), height), *size)
            if _sees(view, cloud):
                cameras.append(view)
                break
            distance *= _STEP_BACK
    return cameras


def _look(
    place: Float64[np.ndarray, " 3"], target: Float64[np.ndarray, " 3"], roll: float
) -> Float64[np.ndarray, "3 3"]:
    """Camera to world: columns right, down, forward."""
    forward = (target - place) / np.linalg.norm(target - place)
    right = np.cross(forward, [0, 0, 1])
    right = right / np.linalg.norm(right)
    right = math.cos(roll) * right + math.sin(roll) * np.cross(forward, right)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def _sees(view: View, cloud: Float64[np.ndarray, "points 3"]) -> bool:
    if view.to_camera(cloud)[:, 2].min() < _NEAREST_M:
        return False
    share = view.project(cloud) / (view.width, view.height)
    return bool(((share > _MARGIN) & (share < 1 - _MARGIN)).all())
