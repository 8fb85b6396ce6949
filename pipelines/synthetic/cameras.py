"""Cameras of synthetic scenes: their places, intrinsics and projection.

World: x, y on the ground, z up. Camera: x right, y down, z forward. The orientation is the unit quaternion
(w, x, y, z) from camera to world, as in Human3.6M: X_camera = q⁻¹ (X_world - t). Image: pixels; (0, 0) is the corner of
the top left pixel, whose centre is (0.5, 0.5).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from schemas.cameras import Intrinsics

# Free margin around the people, as a share of the frame.
_MARGIN = 0.05
# The body reaches beyond its joints (top of the head, hands, shoes) by this much, m.
_BEYOND_JOINTS_M = 0.2
# Points nearer than this, or behind the camera, are projected as if they were this far away, m.
_NEAREST_M = 0.3
# Each step reduces the error at least fourfold in these frames; 1e-2 px is left in the corners at the end.
_UNDISTORT_STEPS = 8
# Fisheyes are inverted by linear interpolation between these angles off the axis, rad.
_ANGLES = np.radians(np.linspace(0, 85, 20_000))
_TINY = 1e-12


@dataclass(frozen=True)
class View:
    """A static camera.

    Attributes:
        name: Camera id.
        intrinsics: Projection, pixels.
        orientation: Quaternion (w, x, y, z), camera to world.
        translation: Position in the world, metres.
        width: Width of the image, pixels.
        height: Height of the image, pixels.
    """

    name: str
    intrinsics: Intrinsics
    orientation: tuple[float, float, float, float]
    translation: tuple[float, float, float]
    width: int
    height: int

    @property
    def rotation(self) -> Float64[np.ndarray, "3 3"]:
        """Rotation matrix from camera to world; its columns are the camera's axes."""
        return quaternion_to_matrix(self.orientation)

    @property
    def up(self) -> Float64[np.ndarray, "3"]:
        """The world's z axis in camera space."""
        return self.rotation[2]

    def to_camera(self, points: Float[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 3"]:
        """Transform world points (m) to camera space (m)."""
        return (np.asarray(points, np.float64) - self.translation) @ self.rotation

    def project(self, points: Float[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 2"]:
        """Project world points (m) to the image (px)."""
        return project(self.intrinsics, self.to_camera(points))

    def rays(self) -> Float64[np.ndarray, "height width 3"]:
        """World direction of the ray through each pixel's centre, scaled to length 1 along the optical axis."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        return unproject(self.intrinsics, np.stack([x, y], axis=-1)) @ self.rotation.T


def quaternion_to_matrix(q: tuple[float, float, float, float]) -> Float64[np.ndarray, "3 3"]:
    """Rotation matrix of a unit quaternion (w, x, y, z)."""
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_to_quaternion(matrix: Float64[np.ndarray, "3 3"]) -> tuple[float, float, float, float]:
    """Unit quaternion (w, x, y, z) of a rotation matrix: the eigenvector of Bar-Itzhack (2000)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    w, x, y, z = (float(value) for value in np.linalg.eigh(symmetric)[1][:, -1])
    return (w, x, y, z) if w >= 0 else (-w, -x, -y, -z)


def _distort(camera: Intrinsics, points: Float64[np.ndarray, "*shape 2"]) -> Float64[np.ndarray, "*shape 2"]:
    x, y = points[..., 0], points[..., 1]
    r2 = x * x + y * y
    if camera.distortion == "fisheye":
        r = np.sqrt(r2)
        return points * (_fisheye_radius(camera, np.arctan(r)) / np.maximum(r, _TINY))[..., None]
    radial = 1 + r2 * (camera.k1 + r2 * (camera.k2 + r2 * camera.k3))
    # Human3.6M has its tangential coefficients in the order (x, y) and counts the cross term once; OpenCV has the
    # opposite order and counts it twice.
    human36m = camera.distortion == "human36m"
    tx, ty = (camera.p1, camera.p2) if human36m else (camera.p2, camera.p1)
    scale = radial + (1 if human36m else 2) * (tx * x + ty * y)
    return np.stack([x * scale + tx * r2, y * scale + ty * r2], axis=-1)


def _fisheye_radius(camera: Intrinsics, theta: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """The distance from the middle, in focal lengths, at which cv2.fisheye shows a point `theta` off the axis."""
    t2 = theta * theta
    return theta * (1 + t2 * (camera.k1 + t2 * (camera.k2 + t2 * (camera.k3 + t2 * camera.k4))))


def project(camera: Intrinsics, points: Float[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 2"]:
    """Project camera-space points (m) to pixels, with the intrinsics' distortion model; depth must be positive."""
    points = np.asarray(points, np.float64)
    x = points[..., :2] / np.maximum(points[..., 2:], _NEAREST_M)
    if camera.distortion != "none":
        x = _distort(camera, x)
    return x * (camera.fx, camera.fy) + (camera.cx, camera.cy)


def unproject(camera: Intrinsics, pixels: Float64[np.ndarray, "*shape 2"]) -> Float64[np.ndarray, "*shape 3"]:
    """Camera-space points at depth 1 that project to the pixels (fixed-point iteration; of fisheyes, a table)."""
    distorted = (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    x = distorted
    if camera.distortion == "fisheye":
        radius = np.linalg.norm(x, axis=-1, keepdims=True)
        theta = np.interp(radius, _fisheye_radius(camera, _ANGLES), _ANGLES)
        x = x * np.tan(theta) / np.maximum(radius, _TINY)
        return np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)
    for _ in range(_UNDISTORT_STEPS if camera.distortion != "none" else 0):
        x = x + distorted - _distort(camera, x)
    return np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)


def sample_intrinsics(rng: np.random.Generator, width: int, height: int) -> Intrinsics:
    """Intrinsics like those of Human3.6M's four cameras, scaled to a resolution."""
    focal = width * rng.uniform(1.14, 1.15)
    return Intrinsics(
        fx=focal,
        fy=focal * rng.uniform(0.998, 1.002),
        cx=width * rng.uniform(0.495, 0.515),
        cy=height * rng.uniform(0.495, 0.515),
        k1=rng.uniform(-0.21, -0.19),
        k2=rng.uniform(0.22, 0.26),
        k3=rng.uniform(-0.01, 0.002),
        p1=rng.uniform(-2e-3, 2e-3),
        p2=rng.uniform(-2e-3, 2e-3),
        distortion="human36m",
    )


def place_cameras(
    rng: np.random.Generator,
    points: Float[np.ndarray, "*shape 3"],
    views: int,
    width: int,
    height: int,
    arc_deg: float = 360.0,
    farther: float = 1.0,
) -> list[View]:
    """Cameras on an arc, 1 to 2 m high, 4 to 5.5 m from the middle, or farther if the people would not fit.

    Args:
        rng: Random source of places and intrinsics.
        points: All joints of all people at all times, world, metres.
        views: Number of cameras.
        width: Width of the image, pixels.
        height: Height of the image, pixels.
        arc_deg: Part of the circle around the people over which the cameras are spread, degrees.
        farther: Factor on the distance.
    """
    cloud = np.asarray(points, np.float64).reshape(-1, 3)
    middle = (cloud.min(axis=0) + cloud.max(axis=0)) / 2
    first = rng.uniform(0, 2 * np.pi)
    cameras = []
    for index in range(views):
        azimuth = first + np.radians(arc_deg) * (index + rng.uniform(-0.15, 0.15)) / views
        level, roll = rng.uniform(1.0, 2.0), np.deg2rad(rng.uniform(-1.5, 1.5))
        distance = farther * rng.uniform(4.0, 5.5)
        intrinsics = sample_intrinsics(rng, width, height)
        while True:
            place = middle + distance * np.array([np.cos(azimuth), np.sin(azimuth), 0])
            place[2] = level
            orientation = matrix_to_quaternion(_looking_at(place, middle, roll))
            where = (float(place[0]), float(place[1]), float(place[2]))
            view = View(f"C{index}", intrinsics, orientation, where, width, height)
            if _shows(view, cloud):
                cameras.append(view)
                break
            distance *= 1.05
    return cameras


def _looking_at(
    place: Float64[np.ndarray, " 3"], target: Float64[np.ndarray, " 3"], roll: float
) -> Float64[np.ndarray, "3 3"]:
    forward = (target - place) / np.linalg.norm(target - place)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    tilted_right = np.cos(roll) * right + np.sin(roll) * down
    return np.stack([tilted_right, np.cross(forward, tilted_right), forward], axis=1)


def _shows(view: View, cloud: Float64[np.ndarray, "points 3"]) -> bool:
    points = view.to_camera(cloud)
    nearest = points[:, 2].min()
    if nearest < 1.0:
        return False
    pixels = project(view.intrinsics, points)
    reach = view.intrinsics.fx * _BEYOND_JOINTS_M / points[:, 2:]
    size = np.array([view.width, view.height])
    return bool(((pixels - reach > _MARGIN * size) & (pixels + reach < (1 - _MARGIN) * size)).all())
