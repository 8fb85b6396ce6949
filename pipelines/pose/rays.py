"""Viewing rays: keypoints as directions, which do not depend on the camera that saw them.

The ray of a keypoint is given by its slopes (X/Z, Y/Z) in camera space (x right, y down, z forward). They do not depend
on focal length, principal point, distortion and size of the image.
"""

import math

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from pipelines.pose.cameras import FISHEYE, camera_vector, to_screen
from schemas.cameras import Intrinsics

# Field of view along the longer side of an image without known intrinsics, degrees: that of a phone's main camera. The
# pose hardly depends on it, but the distance of the person does.
ASSUMED_FOV_DEG = 60.0
# The camera whose screen coordinates equal slopes, in the order of `cameras.CAMERA_FIELDS`.
SLOPE_CAMERA = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_K1_K2_K3_TANGENTIAL_CROSS = (1, 1, 1, 2, 1)
# Number of steps of the inverse. Each reduces the error at least fourfold for the lenses of phones and studios.
_UNDISTORT_STEPS = 8
# Number of steps of Newton's method, each of which doubles the number of correct digits.
_FISHEYE_STEPS = 10
# The widest angle off the axis, rad, for which a slope is computed, and the least derivative that Newton's method uses.
_WIDEST, _LEAST_SLOPE = math.radians(85.0), 0.05
_TINY = 1e-9


def assumed_intrinsics(width: int, height: int, fov_deg: float = ASSUMED_FOV_DEG) -> Intrinsics:
    """Intrinsics of an image (px) of which only the size is known: the field of view lies along its longer side."""
    focal = max(width, height) / 2 / math.tan(math.radians(fov_deg) / 2)
    return Intrinsics(fx=focal, fy=focal, cx=width / 2, cy=height / 2)


def slopes(
    points_px: Float32[Tensor, "*points 2"], width: int, height: int, intrinsics: Intrinsics | None
) -> Float32[Tensor, "*points 2"]:
    """Slopes of the rays of some pixels.

    Args:
        points_px: Pixels.
        width: Width of the image, px.
        height: Height of the image, px.
        intrinsics: Pixels; None: `assumed_intrinsics`.
    """
    camera = camera_vector(intrinsics or assumed_intrinsics(width, height), width, height)
    distorted = (to_screen(points_px, width, height) - camera[2:4]) / camera[:2]
    return undistorted(distorted, camera, fisheyes=bool(camera[-1] == FISHEYE))


def undistorted(
    distorted: Float[Tensor, "*#points 2"], camera: Float[Tensor, "*#points 10"], *, fisheyes: bool = True
) -> Float[Tensor, "*#points 2"]:
    """The slopes that cameras' lenses map to `distorted`, found by iteration (as OpenCV does).

    Args:
        distorted: Screen coordinates without focal length and principal point.
        camera: Their cameras.
        fisheyes: Whether some of the cameras may be fisheyes; without, it takes half of the operators.
    """
    k1, k2, k3, tangential, cross = camera[..., 4:].split(_K1_K2_K3_TANGENTIAL_CROSS, dim=-1)
    x = distorted
    for _ in range(_UNDISTORT_STEPS):
        r2 = x.square().sum(-1, keepdim=True)
        scale = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + cross * (tangential * x).sum(-1, keepdim=True)
        x = (distorted - tangential * r2) / scale
    if fisheyes:
        coefficients = torch.cat([k1, k2, k3, tangential[..., 1:]], dim=-1)
        x = torch.where(cross == FISHEYE, _without_fisheye(distorted, coefficients), x)
    return x


def _without_fisheye(
    distorted: Float[Tensor, "*#points 2"], coefficients: Float[Tensor, "*#points 4"]
) -> Float[Tensor, "*#points 2"]:
    """The slopes that a fisheye maps to `distorted`: Newton's method finds the angle for the radius."""
    radius = distorted.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    powers = torch.arange(1, 5, device=distorted.device) * 2
    theta = radius.clamp_max(_WIDEST)
    for _ in range(_FISHEYE_STEPS):
        terms = coefficients * theta**powers
        value = theta * (1 + terms.sum(-1, keepdim=True))
        slope = 1 + ((powers + 1) * terms).sum(-1, keepdim=True)
        theta = (theta - (value - radius) / slope.clamp_min(_LEAST_SLOPE)).clamp(0, _WIDEST)
    return distorted * (torch.tan(theta) / radius)


def turned_to(ray: Float[Tensor, "*rays 2"]) -> Float[Tensor, "*rays 3 3"]:
    """The axes, as rows, of a camera that is turned by the shortest way to look along a ray, given by its slopes.

    With `axes` the result, `points @ axes.mT` are camera-space points in the turned camera, and `points @ axes` the way
    back. It is Rodrigues' formula for the rotation of (0, 0, 1) to the ray.
    """
    a, b, c = functional.normalize(torch.cat([ray, torch.ones_like(ray[..., :1])], dim=-1), dim=-1).unbind(-1)
    k = 1 / (1 + c)
    x_axis = torch.stack([1 - a * a * k, -a * b * k, -a], dim=-1)
    y_axis = torch.stack([-a * b * k, 1 - b * b * k, -b], dim=-1)
    return torch.stack([x_axis, y_axis, torch.stack([a, b, c], dim=-1)], dim=-2)
