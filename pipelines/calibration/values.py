"""Numbers of a calibration file as a camera, whatever the file calls them; what cannot be read is one line."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from pipelines.calibration.camera import Camera
from schemas.cameras import Intrinsics
from schemas.errors import UserError

# OpenCV's order of coefficients, of which more than these are of its rational and prism models.
_OPENCV = ("k1", "k2", "p1", "p2", "k3")
# Those of cv2.fisheye.
_FISHEYE = ("k1", "k2", "k3", "k4")
# What programs call the model of cv2.fisheye, and OpenCV's plain one, without what is no letter or figure.
_FISHEYE_NAMES = {"fisheye", "opencvfisheye", "equidistant", "equi", "kannalabrandt", "kannalabrandt4", "kb", "kb4"}
_PLAIN_NAMES = {"", "none", "pinhole", "plumbbob", "radtan", "brown", "brownconrady", "opencv", "perspective", "radial"}
# How far a matrix may be from a rotation: files have as few as four decimals.
_ROTATION_TOLERANCE = 1e-2


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
        rotation: World to camera, a matrix or Rodrigues' vector.
        translation: The world's origin in camera space, in the file's unit.
        size: Width and height, px.
        fisheye: The coefficients are those of cv2.fisheye.

    Raises:
        UserError: These are no such numbers.
    """
    try:
        k = np.asarray(matrix, np.float64).reshape(3, 3)
        place = np.asarray(translation, np.float64).reshape(3)
        turn = _rotation(np.asarray(rotation, np.float64))
        width, height = (None, None) if size is None else (round(float(size[0])), round(float(size[1])))
        intrinsics = intrinsics_of(k[0, 0], k[1, 1], k[0, 2], k[1, 2], distortion, fisheye)
    except (TypeError, ValueError, IndexError) as error:
        raise UserError(f"camera {name}: {' '.join(str(error).split())}") from error
    if not (np.isfinite(k).all() and np.isfinite(place).all()):
        raise UserError(f"camera {name}: holds numbers that are not finite")
    if width and height and (reason := intrinsics.implausible(width, height)):
        raise UserError(f"camera {name}: {reason}, of {width} × {height} px")
    return Camera(name, width, height, intrinsics, turn, place)


def is_fisheye(name: str, model: Any) -> bool:
    """Whether what a file calls the model of a lens is that of cv2.fisheye.

    Args:
        name: How the file calls the camera.
        model: The model's name, or a flag; None: the file does not say.

    Raises:
        UserError: It is neither that one nor OpenCV's plain model.
    """
    if model is None or isinstance(model, bool | int | float):
        return bool(model)
    said = re.sub(r"[^a-z0-9]", "", str(model).lower())
    if said in _FISHEYE_NAMES:
        return True
    if said in _PLAIN_NAMES or said == "rationalpolynomial":  # whose further coefficients may be zero
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
        ValueError: They are of another model, or no numbers.
    """
    coefficients = [] if distortion is None else [float(value) for value in np.ravel(distortion)]
    names = _FISHEYE if fisheye else _OPENCV
    if any(coefficients[len(names) :]):
        model = "fisheye has four" if fisheye else "plain model has five"
        raise ValueError(f"has {len(coefficients)} distortion coefficients, OpenCV's {model}; calibrate with that")
    if not all(map(math.isfinite, coefficients)):
        raise ValueError("holds distortion coefficients that are not finite")
    named = dict(zip(names, coefficients, strict=False))
    model = "fisheye" if fisheye else "opencv" if any(coefficients) else "none"
    try:
        return Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy, distortion=model, **named)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _rotation(values: np.ndarray) -> np.ndarray:
    if values.size == 3:
        return Rotation.from_rotvec(values.reshape(3)).as_matrix()
    turn = values.reshape(3, 3)
    if not np.allclose(turn @ turn.T, np.eye(3), atol=_ROTATION_TOLERANCE) or np.linalg.det(turn) < 0:
        raise ValueError("its rotation is not a rotation matrix")
    # Files hold rounded numbers; the nearest matrix that is exactly a rotation.
    u, _, v = np.linalg.svd(turn)
    return u @ v
