"""Numbers of a calibration file as a camera, whatever the file calls them; what cannot be read is one line."""

import math
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
# How far a matrix may be from a rotation: files have as few as four decimals.
_ROTATION_TOLERANCE = 1e-2


def camera_of(
    name: str,
    matrix: Any,
    distortion: Any,
    rotation: Any,
    translation: Any,
    size: Sequence[int | float] | None = None,
) -> Camera:
    """A camera with OpenCV's model.

    Args:
        name: How the file calls it.
        matrix: Camera matrix, (3, 3), px.
        distortion: Coefficients in OpenCV's order; none if empty or None.
        rotation: World to camera, a matrix or Rodrigues' vector.
        translation: The world's origin in camera space, in the file's unit.
        size: Width and height, px.

    Raises:
        UserError: These are no such numbers.
    """
    try:
        k = np.asarray(matrix, np.float64).reshape(3, 3)
        place = np.asarray(translation, np.float64).reshape(3)
        turn = _rotation(np.asarray(rotation, np.float64))
        width, height = (None, None) if size is None else (round(float(size[0])), round(float(size[1])))
        intrinsics = intrinsics_of(k[0, 0], k[1, 1], k[0, 2], k[1, 2], distortion)
    except (TypeError, ValueError, IndexError) as error:
        raise UserError(f"camera {name}: {' '.join(str(error).split())}") from error
    if not (np.isfinite(k).all() and np.isfinite(place).all()):
        raise UserError(f"camera {name}: holds numbers that are not finite")
    if width and height and (reason := intrinsics.implausible(width, height)):
        raise UserError(f"camera {name}: {reason}, of {width} × {height} px")
    return Camera(name, width, height, intrinsics, turn, place)


def intrinsics_of(fx: float, fy: float, cx: float, cy: float, distortion: Any) -> Intrinsics:
    """Intrinsics with OpenCV's coefficients.

    Raises:
        ValueError: They are of another model, or no numbers.
    """
    coefficients = [] if distortion is None else [float(value) for value in np.ravel(distortion)]
    if any(coefficients[len(_OPENCV) :]):
        raise ValueError("has more than five distortion coefficients; calibrate with OpenCV's plain model")
    if not all(map(math.isfinite, coefficients)):
        raise ValueError("holds distortion coefficients that are not finite")
    named = dict(zip(_OPENCV, coefficients, strict=False))
    model = "opencv" if any(coefficients) else "none"
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
    # The nearest exact rotation: files round.
    u, _, v = np.linalg.svd(turn)
    return u @ v
