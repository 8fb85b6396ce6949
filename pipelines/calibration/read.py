"""Reads a calibration of any format that is known, by what it looks like: one table of cameras, in metres."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.calibration import colmap, opencv_files, toml_files, xml_files
from pipelines.calibration.camera import Camera
from pipelines.io import storage
from pipelines.io.unknown_origin import blamed
from schemas.errors import UserError

FORMATS = "Pose2Sim, Anipose or Caliscope (.toml), Qualisys (.qca.txt), Vicon (.xcp), OpenCV (.yml, .json), COLMAP "
FORMATS += "(a folder with cameras.txt and images.txt), EasyMocap (a folder with intri.yml and extri.yml)"
_MILLIMETRE_M = 0.001
# Stands for the unit of a format whose unit is arbitrary.
_ARBITRARY = -1.0
# Cameras around people are at most this far apart, m. If they are farther apart, the file is in millimetres.
_FARTHEST_M = 100.0


def read_cameras(uri: str, unit_m: float | None = None) -> list[Camera]:
    """The cameras of a calibration file, or of a folder, and where they stand.

    Args:
        uri: The file or folder.
        unit_m: Metres of one unit of its positions; if None, that of the format, or metres or millimetres by how far
            the cameras are from each other.

    Raises:
        UserError: The calibration cannot be read, has no known format, or holds fewer than two placed cameras.
    """
    cameras, known_unit_m = _known_cameras(uri)
    if len(cameras) < 2:
        raise UserError(f"calibration={uri}: holds {len(cameras)} cameras; positions need two; known are {FORMATS}")
    if unplaced := [camera.name for camera in cameras if not camera.is_placed]:
        raise UserError(
            f"calibration={uri}: camera {', '.join(unplaced)}: has no rotation and translation (R, t); calibrate the "
            "extrinsics too"
        )
    if unit_m is None and known_unit_m == _ARBITRARY:
        raise UserError(f"calibration={uri}: the unit of COLMAP is arbitrary; give how many metres one is, as unit_m")
    unit = unit_m or known_unit_m or _found_unit_m(cameras)
    return [replace(camera, translation=camera.translation * unit) for camera in cameras]


def read_lenses(uri: str) -> list[Camera]:
    """The cameras of a calibration file, or of a folder; it does not matter where they stand.

    Args:
        uri: The file or folder.

    Raises:
        UserError: The calibration cannot be read, has no known format, or holds no camera.
    """
    cameras, _ = _known_cameras(uri)
    if not cameras:
        raise UserError(f"calibration={uri}: holds no cameras; known are {FORMATS}")
    return cameras


def _known_cameras(uri: str) -> tuple[list[Camera], float | None]:
    """The cameras in the unit of the file, and this unit where the format says it (m)."""
    with blamed(f"calibration={uri}", "is no calibration"):
        try:
            cameras, unit_m = _read(uri)
        except OSError as error:
            raise UserError(f"calibration={uri}: cannot be read: {error.strerror or error}") from error
        except UserError as error:
            raise UserError(f"calibration={uri}: {error}") from error
    names = [camera.name for camera in cameras]
    if len(set(names)) < len(names):
        raise UserError(f"calibration={uri}: two cameras have the same name: {', '.join(sorted(names))}")
    return cameras, unit_m


def _read(uri: str) -> tuple[list[Camera], float | None]:
    """The cameras in the unit of the file, and this unit where the format says it (m)."""
    lower = uri.lower()
    if lower.endswith(".toml"):
        return toml_files.read(storage.read_bytes(uri)), None
    if lower.endswith((".qca.txt", ".xcp", ".xml")):
        root = xml_files.parse_xml(storage.read_bytes(uri))
        return (xml_files.read_vicon if root.tag == "Cameras" else xml_files.read_qualisys)(root), _MILLIMETRE_M
    if lower.endswith((".yml", ".yaml", ".json")):
        return _opencv(uri), None
    return _folder(uri)


def _folder(uri: str) -> tuple[list[Camera], float | None]:
    files = {file.rpartition("/")[2]: file for file in storage.list_folder(uri)}
    if {"cameras.txt", "images.txt"} <= files.keys():
        cameras = colmap.read(storage.read_bytes(files["cameras.txt"]), storage.read_bytes(files["images.txt"]))
        return cameras, _ARBITRARY
    if {"intri.yml", "extri.yml"} <= files.keys():
        parts = (opencv_files.parse(storage.read_bytes(files[name]), ".yml") for name in ("intri.yml", "extri.yml"))
        return opencv_files.read_easymocap(*parts), 1.0
    camera_files = [file for name, file in sorted(files.items()) if name.endswith((".yml", ".yaml", ".json"))]
    if not camera_files:
        raise UserError(f"is no calibration; known are {FORMATS}")
    return [camera for file in camera_files for camera in _opencv(file)], None


def _opencv(uri: str) -> list[Camera]:
    name, _, suffix = uri.rpartition("/")[2].rpartition(".")
    return opencv_files.read(opencv_files.parse(storage.read_bytes(uri), f".{suffix.lower()}"), name)


def _found_unit_m(cameras: Sequence[Camera]) -> float:
    centres = np.stack([camera.centre for camera in cameras])
    apart = np.linalg.norm(centres - centres.mean(0), axis=1).max()
    return _MILLIMETRE_M if apart > _FARTHEST_M else 1.0
