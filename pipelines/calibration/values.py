"""Makes cameras of the numbers in calibration files; each error is one line."""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float64
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from pipelines.calibration.camera import Camera
from schemas.cameras import Intrinsics
from schemas.errors import UserError

# A studio has up to hundreds of cameras.
MOST_CAMERAS = 1_000
# The names of OpenCV's distortion coefficients in its order; further ones belong to its rational and prism models.
_OPENCV = ("k1", "k2", "p1", "p2", "k3")
# The names of the coefficients of cv2.fisheye, in its order.
_FISHEYE = ("k1", "k2", "k3", "k4")
# Names that programs give to the model of cv2.fisheye and to OpenCV's plain one, reduced to letters and digits.
_FISHEYE_NAMES = {"fisheye", "opencvfisheye", "equidistant", "equi", "kannalabrandt", "kannalabrandt4", "kb", "kb4"}
_PLAIN_NAMES = {"", "none", "pinhole", "plumbbob", "radtan", "brown", "brownconrady", "opencv", "perspective", "radial"}
# A matrix may differ from a rotation by this much, because some files have only four decimals.
_ROTATION_TOLERANCE = 1e-2
# A skew of the axes up to this share of the focal length counts as zero, because programs write rounding errors.
_SKEW_TOLERANCE = 1e-4
# A focal length below this, px, is in another unit than pixels.
_SHORTEST_FOCAL_PX = 10.0


def camera_of(
    name: str,
    matrix: Any,
    distortion: Any,
    rotation: Any,
    translation: Any,
    size: Sequence[int | float] | None = None,
    fisheye: bool = False,
) -> Camera:
    """A camera with OpenCV's model.

    Args:
        name: How the file calls it.
        matrix: Camera matrix, (3, 3), px.
        distortion: Coefficients in OpenCV's order; none if empty or None.
        rotation: World to camera, a matrix or Rodrigues' vector; None if the file does not say.
        translation: The world's origin in camera space, in the file's unit; None if the file does not say.
        size: Width and height, px.
        fisheye: The coefficients are those of cv2.fisheye.

    Raises:
        UserError: The numbers do not describe a camera.
    """
    try:
        k = _focal_matrix(matrix)
        width, height = (None, None) if size is None else _size(size)
        intrinsics = intrinsics_of(k[0, 0], k[1, 1], k[0, 2], k[1, 2], distortion, fisheye)
        turn, place = np.eye(3), np.full(3, np.nan)
        if rotation is not None and translation is not None:
            turn, place = _rotation(rotation), _numbers("the translation", translation, (3,))
    except ValueError as error:
        raise UserError(f"camera {name}: {error}") from error
    if width and height and (reason := intrinsics.implausible(width, height)):
        raise UserError(f"camera {name}: {reason}, of {width} × {height} px")
    return Camera(name, width, height, intrinsics, turn, place)


def few(cameras: Iterable[Camera]) -> list[Camera]:
    """The cameras of a file, unless they are more than anybody has: small files may claim any number.

    Raises:
        UserError: There are too many.
    """
    first = list(islice(cameras, MOST_CAMERAS + 1))
    if len(first) > MOST_CAMERAS:
        raise UserError(f"holds more than {MOST_CAMERAS:,} cameras")
    return first


def is_fisheye(name: str, model: Any) -> bool:
    """Whether the lens model that a file names is that of cv2.fisheye.

    Args:
        name: How the file calls the camera.
        model: The model's name, or a flag; None: the file does not say.

    Raises:
        UserError: The model is neither that of cv2.fisheye nor OpenCV's plain one.
    """
    if model is None or isinstance(model, bool | int | float):
        return bool(model)
    model_name = re.sub(r"[^a-z0-9]", "", str(model).lower())
    if model_name in _FISHEYE_NAMES:
        return True
    if model_name in _PLAIN_NAMES or model_name == "rationalpolynomial":  # its further coefficients may be zero
        return False
    raise UserError(
        f"camera {name}: its lens model {model} is not supported; calibrate with OpenCV's plain or fisheye model"
    )


def intrinsics_of(fx: float, fy: float, cx: float, cy: float, distortion: Any, fisheye: bool = False) -> Intrinsics:
    """Intrinsics with OpenCV's coefficients.

    Args:
        fx: Focal length across, px.
        fy: Focal length down, px.
        cx: Principal point, px from the left.
        cy: Principal point, px from the top.
        distortion: The coefficients; none if empty or None.
        fisheye: They are those of cv2.fisheye.

    Raises:
        ValueError: The coefficients belong to another model, or are not numbers.
    """
    coefficients = [] if distortion is None else _numbers("the distortion", distortion).ravel().tolist()
    names = _FISHEYE if fisheye else _OPENCV
    if any(coefficients[len(names) :]):
        model = "fisheye has four" if fisheye else "plain model has five"
        raise ValueError(f"has {len(coefficients)} distortion coefficients, OpenCV's {model}; calibrate with that")
    named = dict(zip(names, coefficients, strict=False))
    model = "fisheye" if fisheye else "opencv" if any(coefficients) else "none"
    try:
        return Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy, distortion=model, **named)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _numbers(what: str, given: Any, *shapes: tuple[int, ...]) -> Float64[np.ndarray, "..."]:
    """Finite numbers, reshaped to the first of some shapes that has this many elements, or unchanged if none is named.

    Raises:
        ValueError: The values are not finite numbers, or there are too few or too many.
    """
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} holds what is no number") from error
    if not np.isfinite(values).all():
        raise ValueError(f"{what} holds numbers that are not finite")
    fitting = [shape for shape in shapes if math.prod(shape) == values.size]
    if shapes and not fitting:
        wanted = " or ".join(" × ".join(map(str, shape)) for shape in shapes)
        raise ValueError(f"{what} holds {values.size} numbers, not {wanted}")
    return values.reshape(fitting[0]) if shapes else values


def _focal_matrix(given: Any) -> Float64[np.ndarray, "3 3"]:
    """A camera matrix of focal lengths and principal point, px.

    Raises:
        ValueError: The values are not a camera matrix in pixels.
    """
    k = _numbers("the camera matrix", given, (3, 3))
    if k[2, 0] or k[2, 1]:
        raise ValueError("the camera matrix is transposed, as MATLAB writes it; its last row must be 0, 0, 1")
    if k[2, 2] != 1 or k[1, 0]:
        raise ValueError("the camera matrix is not [fx, 0, cx], [0, fy, cy], [0, 0, 1]")
    if abs(k[0, 1]) > _SKEW_TOLERANCE * abs(k[0, 0]):
        raise ValueError(f"the camera matrix has a skew of {k[0, 1]:g}, which is not supported; calibrate without skew")
    if 0 < max(k[0, 0], k[1, 1]) < _SHORTEST_FOCAL_PX:
        raise ValueError(
            f"the focal lengths {k[0, 0]:g} and {k[1, 1]:g} are shares of the picture's size, not pixels; multiply the "
            "first row of the matrix by the width and the second by the height"
        )
    return k


def _size(given: Any) -> tuple[int, int]:
    width, height = _numbers("the size", given, (2,)).round().astype(int).tolist()
    if width < 1 or height < 1:
        raise ValueError(f"the size {width} × {height} is no picture's; leave it out if it is not known")
    return width, height


def _rotation(given: Any) -> Float64[np.ndarray, "3 3"]:
    """A rotation matrix, from a matrix or from a Rodrigues vector.

    Raises:
        ValueError: The values are not a rotation.
    """
    values = _numbers("the rotation", given, (3,), (3, 3))
    if values.size == 3:
        angle = float(np.linalg.norm(values))
        if angle > 2 * math.pi + _ROTATION_TOLERANCE:
            raise ValueError(f"the rotation vector turns by {angle:g}; give radians (at most 2π), not degrees")
        return Rotation.from_rotvec(values).as_matrix()
    if not np.allclose(values @ values.T, np.eye(3), atol=_ROTATION_TOLERANCE) or np.linalg.det(values) < 0:
        raise ValueError("its rotation is not a rotation matrix")
    # The numbers in files are rounded, so the nearest exact rotation is used.
    u, _, v = np.linalg.svd(values)
    return u @ v
