"""Calibrations as XML: Qualisys (.qca.txt) and Vicon (.xcp). Documents with a DTD are refused: it could hold entities.

- Qualisys: positions in mm, pixels in 1/64 px, cameras that look along -z with y up. Documentation: "Camera calibration
  file format" of QTM's manual.
- Vicon: positions in mm, quaternions (x, y, z, w) from world to camera. Its radial polynomial makes undistorted pixels
  of distorted ones; OpenCV's is the other way round, so its coefficients are fitted.
"""

import xml.etree.ElementTree as ElementTree
import xml.parsers.expat as expat
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pipelines.calibration.camera import Camera
from pipelines.calibration.values import camera_of, few
from schemas.errors import UserError

# Qualisys's cameras look along -z, and their y axes point up; both axes are flipped.
_FLIP = np.diag([1.0, -1.0, -1.0])
_SUBPIXELS = 64.0
# Vicon's distortion is fitted at these radii, as shares of half the picture's diagonal.
_RADII = np.linspace(0.05, 1.0, 40)


def parse_xml(content: bytes) -> ElementTree.Element:
    """The root of a document without a DTD.

    Raises:
        UserError: The document is not XML, or has a DTD.
    """

    def refuse(*_: Any) -> None:
        raise UserError("has a document type (<!DOCTYPE …>), which is not read; remove it")

    checker = expat.ParserCreate()
    checker.StartDoctypeDeclHandler = refuse
    try:
        checker.Parse(content, True)
        return ElementTree.fromstring(content)  # noqa: S314 (it has no DTD, so no entities)
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"is not XML: {error}") from error


def read_qualisys(root: ElementTree.Element) -> list[Camera]:
    """The video cameras of a Qualisys calibration, in its order, mm.

    Raises:
        UserError: The calibration is incomplete, or a camera's view is rotated.
    """
    return few(_qualisys(camera) for camera in root.iter("camera"))


def _qualisys(camera: ElementTree.Element) -> Camera:
    name = camera.get("serial", "?")
    if (turned := camera.get("viewrotation", "0")) != "0":
        raise UserError(f"camera {name}: viewrotation={turned}: calibrate with an upright view")
    place, lens, field = (_attributes(camera, name, part) for part in ("transform", "intrinsic", "fov_video"))
    try:
        axes = [[float(place[f"r{row}{column}"]) for column in (1, 2, 3)] for row in (1, 2, 3)]
        rotation = _FLIP @ np.array(axes)
        centre = np.array([float(place[axis]) for axis in "xyz"])
        fx, fy, cx, cy = (
            float(lens[key]) / _SUBPIXELS for key in ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
        )
        left, right, top, bottom = (float(field[side]) for side in ("left", "right", "top", "bottom"))
        radial = [float(lens[f"radialDistortion{power}"]) for power in (1, 2, 3)]
        tangential = [float(lens[f"tangentalDistortion{number}"]) for number in (1, 2)]
    except (KeyError, ValueError) as error:
        raise UserError(f"camera {name}: {error} is missing or no number") from error
    matrix = [[fx, 0, cx - left], [0, fy, cy - top], [0, 0, 1]]
    distortion = [*radial[:2], *tangential, radial[2]]
    size = (right - left + 1, bottom - top + 1)
    return camera_of(name, matrix, distortion, rotation, -rotation @ centre, size)


def _attributes(camera: ElementTree.Element, name: str, part: str) -> Mapping[str, str]:
    element = camera.find(part)
    if element is None:
        raise UserError(f"camera {name}: has no <{part}>")
    return element.attrib


def read_vicon(root: ElementTree.Element) -> list[Camera]:
    """The cameras of a Vicon calibration that have been calibrated, in its order, mm.

    Raises:
        UserError: The calibration is incomplete.
    """
    frames = [(camera, camera.find("KeyFrames/KeyFrame")) for camera in root.iter("Camera")]
    return few(_vicon(camera, frame) for camera, frame in frames if frame is not None and "POSITION" in frame.attrib)


def _vicon(camera: ElementTree.Element, frame: ElementTree.Element) -> Camera:
    name = camera.get("LABEL") or camera.get("USERID") or camera.get("DEVICEID", "?")
    try:
        width, height = _numbers(camera.attrib, "SENSOR_SIZE")
        aspect = float(camera.get("PIXEL_ASPECT_RATIO", "1"))
        focal, (cx, cy) = float(frame.attrib["FOCAL_LENGTH"]), _numbers(frame.attrib, "PRINCIPAL_POINT")
        rotation = Rotation.from_quat(_numbers(frame.attrib, "ORIENTATION")).as_matrix()
        centre = np.array(_numbers(frame.attrib, "POSITION"))
        radial = _vicon_radial(frame.attrib)
    except (KeyError, ValueError) as error:
        raise UserError(f"camera {name}: {error} is missing or not as Vicon writes it") from error
    matrix = [[focal, 0, cx], [0, focal / aspect, cy], [0, 0, 1]]
    reach = np.hypot(width, height) / 2
    distortion = _opencv_radial(radial, focal, reach) if any(radial) else None
    return camera_of(name, matrix, distortion, rotation, -rotation @ centre, (width, height))


def _numbers(attributes: Mapping[str, str], key: str) -> list[float]:
    return [float(value) for value in attributes[key].split()]


def _vicon_radial(attributes: Mapping[str, str]) -> list[float]:
    """Coefficients of r², r⁴ and r⁶, px: VICON_RADIAL2 is "ViconRadial2 cx cy k0 k1 k2"."""
    if "VICON_RADIAL2" in attributes:
        return [float(value) for value in attributes["VICON_RADIAL2"].split()[3:6]]
    return [float(value) for value in attributes.get("VICON_RADIAL", "").split()]


def _opencv_radial(radial: list[float], focal: float, reach: float) -> list[float]:
    """OpenCV's (k1, k2, p1, p2, k3), fitted to the inverse of Vicon's undistorting polynomial."""
    distorted = _RADII * reach
    undistorted = distorted * (1 + sum(k * distorted ** (2 * power) for power, k in enumerate(radial, start=1)))
    r = undistorted / focal
    powers = np.stack([r**3, r**5, r**7], axis=1)
    k1, k2, k3 = np.linalg.lstsq(powers, (distorted - undistorted) / focal, rcond=None)[0].tolist()
    return [k1, k2, 0.0, 0.0, k3]
