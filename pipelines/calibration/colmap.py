"""COLMAP's text models: a folder with cameras.txt and images.txt; the images are the cameras, one picture of each.

Documentation: COLMAP's "Output Format" and "Camera Models". Its unit is arbitrary.
"""

import re

import numpy as np
from scipy.spatial.transform import Rotation

from pipelines.calibration.camera import Camera
from pipelines.calibration.values import camera_of, few
from schemas.errors import UserError

# The indices of fx, fy, cx, cy and of OpenCV's coefficients among the parameters of each supported model. The fisheye
# models are that of cv2.fisheye, or its first terms.
_MODELS = {
    "SIMPLE_PINHOLE": ((0, 0, 1, 2), ()),
    "PINHOLE": ((0, 1, 2, 3), ()),
    "SIMPLE_RADIAL": ((0, 0, 1, 2), (3,)),
    "RADIAL": ((0, 0, 1, 2), (3, 4)),
    "OPENCV": ((0, 1, 2, 3), (4, 5, 6, 7)),
    "SIMPLE_RADIAL_FISHEYE": ((0, 0, 1, 2), (3,)),
    "RADIAL_FISHEYE": ((0, 0, 1, 2), (3, 4)),
    "OPENCV_FISHEYE": ((0, 1, 2, 3), (4, 5, 6, 7)),
}


def read(cameras: bytes, images: bytes) -> list[Camera]:
    """The cameras of a model, named by their pictures, in the pictures' order.

    Args:
        cameras: The content of cameras.txt.
        images: The content of images.txt.

    Raises:
        UserError: The files are not of this format, or a lens model is not supported.
    """
    try:
        lenses = {line[0]: line for line in _lines(cameras)}
        # Every second line of images.txt lists points, and is skipped.
        return few(_camera(line, lenses[line[8]]) for line in _lines(images) if _is_image(line))
    except (KeyError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise UserError(f"is not a text model of COLMAP: {error}") from error


def _lines(content: bytes) -> list[list[str]]:
    lines = (line.strip() for line in content.decode("utf-8-sig").splitlines())
    return [line.split() for line in lines if line and not line.startswith("#")]


def _is_image(line: list[str]) -> bool:
    """Whether a line describes an image: its tenth word is a name; lists of points have only numbers."""
    return len(line) >= 10 and re.fullmatch(r"[-+.\deE]+", line[9]) is None


def _camera(image: list[str], lens: list[str]) -> Camera:
    name = " ".join(image[9:]).rpartition("/")[2].rpartition(".")[0] or image[9]
    _, model, width, height, *values = lens
    if model not in _MODELS:
        raise UserError(f"camera {name}: its model {model} is not supported; use one of {', '.join(_MODELS)}")
    pinhole, coefficients = _MODELS[model]
    parameters = [float(value) for value in values]
    fx, fy, cx, cy = (parameters[place] for place in pinhole)
    w, x, y, z = (float(value) for value in image[1:5])
    return camera_of(
        name,
        [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
        [parameters[place] for place in coefficients],
        Rotation.from_quat([x, y, z, w]).as_matrix(),
        np.array([float(value) for value in image[5:8]]),
        (float(width), float(height)),
        fisheye=model.endswith("_FISHEYE"),
    )
