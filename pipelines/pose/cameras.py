"""Cameras: world and camera space, pixels and screen, and three ways to project.

Camera space is x right, y down, z forward, metres. Screen: x in [-1, 1] across the width, y on the same scale, so
that the aspect is kept. A camera is a vector of 10 numbers in screen units, named by `CAMERA_FIELDS`: (tx, ty) is
the tangential pair along (x, y), and `cross` the coefficient of the tangential cross terms. With `cross` = 1 the
formula of `project` is Human3.6M's, with `cross` = 2 and (tx, ty) = (p2, p1) it is OpenCV's. Fisheyes have no
tangential terms: `cross` = `FISHEYE` marks them, and `ty` is their fourth coefficient, k4. A batch may mix all models.
"""

from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from schemas.cameras import Intrinsics

CAMERA_FIELDS = ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "tx", "ty", "cross")
_FOCAL_CENTRE_K1_K2_K3_TANGENTIAL_CROSS = (2, 2, 1, 1, 1, 2, 1)

# This value of `cross` marks OpenCV's fisheye model.
FISHEYE = -1.0

# Points nearer than this, or behind the camera, are projected as if they were at this depth; as in `synthetic.cameras`.
MIN_DEPTH_M = 0.3
# |X/Z| and |Y/Z| are clamped to this (45 degrees off the axis): distortion polynomials are not valid further out.
MAX_SLOPE = 1.0
# The limit for fisheyes (80 degrees off the axis), because slopes grow without bound towards 90 degrees.
MAX_FISHEYE_SLOPE = 5.67
# The lowest correlation of prediction and target that the scale of `project_orthographic` assumes. Without it, a
# prediction facing the wrong way would fit best when shrunk to a point, where it has no gradient to recover by.
_LEAST_CORRELATION = 0.1
# A number below the sum of squares of any visible body in metres or screen units, and above float32 rounding.
_TINY = 1e-6

Bound = Any
"""Numbers, or tensors that broadcast with what they bound: two of a kind."""

Size = Tensor | float | int
"""Pixels: a number, or a tensor that broadcasts with the points without their last axis."""


def rotate(q: Float[Tensor, "*#points 4"], v: Float[Tensor, "*#points 3"]) -> Float[Tensor, "*#points 3"]:
    """Rotate vectors by unit quaternions (w, x, y, z): v + 2(w(u × v) + u × (u × v)), u the vector part."""
    w, u = q[..., :1], q[..., 1:]
    cross = torch.linalg.cross(*torch.broadcast_tensors(u, v))
    return v + 2 * (w * cross + torch.linalg.cross(u.expand_as(cross), cross))


def world_to_camera(
    points: Float[Tensor, "*#points 3"],
    orientation: Float[Tensor, "*#points 4"],
    translation: Float[Tensor, "*#points 3"],
) -> Float[Tensor, "*#points 3"]:
    """World points (m) in camera space (m): q⁻¹ ⊗ (X - t).

    Args:
        points: World, metres.
        orientation: Unit quaternion (w, x, y, z), camera to world, as Human3.6M lists it.
        translation: Position of the camera in the world, metres.
    """
    inverse = orientation * orientation.new_tensor([1, -1, -1, -1])
    return rotate(inverse, points - translation)


def camera_to_world(
    points: Float[Tensor, "*#points 3"],
    orientation: Float[Tensor, "*#points 4"],
    translation: Float[Tensor, "*#points 3"],
) -> Float[Tensor, "*#points 3"]:
    """The inverse of `world_to_camera`: q ⊗ X + t."""
    return rotate(orientation, points) + translation


def to_screen(points_px: Float[Tensor, "*points 2"], width: Size, height: Size) -> Float[Tensor, "*points 2"]:
    """Pixels to screen units: (2x/w - 1, 2y/w - h/w). In portrait format |y| exceeds 1."""
    x, y = points_px.unbind(-1)
    return torch.stack([2 * x / width - 1, (2 * y - height) / width], dim=-1)


def from_screen(points: Float[Tensor, "*points 2"], width: Size, height: Size) -> Float[Tensor, "*points 2"]:
    """Screen units to pixels: the inverse of `to_screen`."""
    x, y = points.unbind(-1)
    return torch.stack([(x + 1) * width / 2, (y * width + height) / 2], dim=-1)


def camera_vector(intrinsics: Intrinsics, width: int, height: int) -> Float32[Tensor, "10"]:
    """The camera of an image of that size (px), in screen units, in the order of `CAMERA_FIELDS`."""
    i = intrinsics
    centre = to_screen(torch.tensor([i.cx, i.cy], dtype=torch.float64), width, height).tolist()
    # The tangential pair along (x, y): OpenCV's formula adds p2 r² to x and p1 r² to y, so its pair is swapped.
    tangential = {
        "none": (0, 0, 0),
        "human36m": (i.p1, i.p2, 1),
        "opencv": (i.p2, i.p1, 2),
        "fisheye": (0, i.k4, FISHEYE),
    }[i.distortion]
    focal = (2 * i.fx / width, 2 * i.fy / width)
    return torch.tensor([*focal, *centre, i.k1, i.k2, i.k3, *tangential], dtype=torch.float32)


class _Clamp(torch.autograd.Function):
    """A clamp that, outside its bounds, keeps the gradients whose descent leads back inside.

    The plain clamp has no gradient there: a trajectory predicted behind the camera or far off the frame would never
    be corrected.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, low: Bound, high: Bound | None) -> Tensor:
        ctx.save_for_backward(values)
        ctx.bounds = low, high
        return values.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (values,), (low, high), (gradient,) = ctx.saved_tensors, ctx.bounds, gradients
        outward = (values < low) & (gradient > 0)
        if high is not None:
            outward |= (values > high) & (gradient < 0)
        return gradient.masked_fill(outward, 0), None, None


def _clamp(values: Tensor, low: Bound, high: Bound | None = None) -> Tensor:
    clamped = _Clamp.apply(values, low, high)
    assert isinstance(clamped, Tensor)
    return clamped


def _slopes(
    points: Float[Tensor, "*#points 3"], cross: Float[Tensor, "*#points 1"], fisheyes: bool
) -> Float[Tensor, "*points 2"]:
    depth = _clamp(points[..., 2:], MIN_DEPTH_M)
    most = torch.where(cross == FISHEYE, MAX_FISHEYE_SLOPE, MAX_SLOPE) if fisheyes else MAX_SLOPE
    return _clamp(points[..., :2] / depth, -most, most)


def fisheye_scale(
    r2: Float[Tensor, "*#points 1"],
    k1: Float[Tensor, "*#points 1"],
    k2: Float[Tensor, "*#points 1"],
    k3: Float[Tensor, "*#points 1"],
    k4: Float[Tensor, "*#points 1"],
) -> Float[Tensor, "*points 1"]:
    """The factor by which cv2.fisheye scales slopes: its polynomial in the angle θ off the axis, divided by r."""
    r = (r2 + _TINY).sqrt()
    theta = torch.atan(r)
    t2 = theta.square()
    return theta / r * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))


def project(
    points: Float[Tensor, "*#points 3"], camera: Float[Tensor, "*#points 10"], *, fisheyes: bool = True
) -> Float[Tensor, "*#points 2"]:
    """Camera-space points (m) to the screen, with distortion.

    With x = (X/Z, Y/Z): f (x (1 + k1 r² + k2 r⁴ + k3 r⁶ + cross (tx x1 + ty x2)) + (tx, ty) r²) + c. Human3.6M's
    model as Pavllo et al. 2019 use it, clamp included, and Brown-Conrady as in OpenCV, by the camera's `cross`; or
    OpenCV's fisheye, f x θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸) / r + c with tan θ = r.
    Depths below `MIN_DEPTH_M` count as that depth. Clamped values keep the gradients that lead back (`_Clamp`).

    Args:
        points: Camera space, metres.
        camera: Their cameras.
        fisheyes: Whether some of the cameras may be fisheyes. If none is, the result is the same without asking, and
            takes half of the operators.
    """
    focal, centre, k1, k2, k3, tangential, cross = camera.split(_FOCAL_CENTRE_K1_K2_K3_TANGENTIAL_CROSS, dim=-1)
    x = _slopes(points, cross, fisheyes)
    r2 = x.square().sum(-1, keepdim=True)
    scale = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + cross * (tangential * x).sum(-1, keepdim=True)
    distorted = x * scale + tangential * r2
    if fisheyes:
        fisheye = fisheye_scale(r2, k1, k2, k3, tangential[..., 1:])
        distorted = torch.where(cross == FISHEYE, x * fisheye, distorted)
    return focal * distorted + centre


def project_linear(
    points: Float[Tensor, "*#points 3"], camera: Float[Tensor, "*#points 10"], *, fisheyes: bool = True
) -> Float[Tensor, "*#points 2"]:
    """Like `project`, without distortion: f x + c."""
    return camera[..., :2] * _slopes(points, camera[..., 9:], fisheyes) + camera[..., 2:4]


def project_orthographic(
    positions: Float[Tensor, "*batch frames joints 3"],
    keypoints: Float[Tensor, "*batch frames joints 2"],
    confidence: Float[Tensor, "*batch frames joints"] | None = None,
) -> Float[Tensor, "*batch frames joints 2"]:
    """Root-relative positions on the screen where the camera is unknown: scaled orthography, fitted to the keypoints.

    x and y of a sample are scaled by one factor for all frames and shifted by one offset per frame, chosen to minimise
    the squared distance to the keypoints, weighted by confidence. One scale suffices because a person's distance
    changes slowly; the offset varies because root-relative positions do not contain the trajectory. The comparison is
    then of shape and change of size, up to perspective. The 2D loss of MotionBERT (Zhu et al. 2023) needs no camera
    either: there input and output share one normalised scale, here the fit makes the loss independent of scale and
    position, so that lengths stay in metres. The scale is kept positive, and gradients pass through the fit.

    Args:
        positions: Camera axes, metres.
        keypoints: The same joints, screen.
        confidence: Weight of each keypoint; all equal if not given.
    """
    weight = torch.ones_like(keypoints[..., :1]) if confidence is None else confidence[..., None]
    share = weight / weight.sum(-2, keepdim=True).clamp_min(_TINY)
    shape = positions[..., :2] - (share * positions[..., :2]).sum(-2, keepdim=True)
    middle = (share * keypoints).sum(-2, keepdim=True)
    target = keypoints - middle

    def inner(a: Tensor, b: Tensor) -> Tensor:
        return (weight * a * b).sum((-3, -2, -1), keepdim=True)

    energy = inner(shape, shape).clamp_min(_TINY)
    least = _LEAST_CORRELATION * (inner(target, target) / energy).sqrt()
    return torch.maximum(inner(shape, target) / energy, least.detach()) * shape + middle
