"""Calibrations as TOML: Pose2Sim, aniposelib (Anipose) and Caliscope, which differ in where the cameras stand.

Documentation: Pose2Sim's README (Calib.toml), Anipose's "Understanding the calibration output", Caliscope's
"Calibration output" (camera_array.toml).
"""

import tomllib
from collections.abc import Iterator
from typing import Any

from pipelines.calibration.camera import Camera
from pipelines.calibration.values import camera_of, few, is_fisheye
from schemas.errors import UserError

_MOST_DOTS = 100


def read(content: bytes) -> list[Camera]:
    """The cameras of a file, in its order.

    Raises:
        UserError: The file is not TOML, or a camera in it is not usable.
    """
    # Keys of many parts take a time that grows with their square.
    if any(line.count(b".") > _MOST_DOTS for line in content.splitlines()):
        raise UserError(f"has more than {_MOST_DOTS} dots in a line, which calibrations have not")
    try:
        document = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"is not TOML: {error}") from error
    return few(_camera(name, section) for name, section in _sections(document))


def _sections(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Tables that hold a camera matrix, which may be within a table of cameras."""
    tables = [document] + [table for table in document.values() if isinstance(table, dict)]
    for table in tables:
        for key, section in table.items():
            if isinstance(section, dict) and "matrix" in section and not section.get("ignore", False):
                yield str(section.get("name") or key), section


def _camera(name: str, section: dict[str, Any]) -> Camera:
    if section.get("rotation_count"):
        raise UserError(f"camera {name}: rotation_count={section['rotation_count']}: calibrate upright videos")
    return camera_of(
        name,
        section["matrix"],
        section.get("distortions"),
        section.get("rotation"),
        section.get("translation"),
        section.get("size"),
        fisheye=is_fisheye(name, section.get("fisheye")),
    )
