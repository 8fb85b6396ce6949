"""Intrinsics and extrinsics of the cameras of a motion-capture studio, for every recorded subject.

The file is JSON; intrinsics may be missing, and a translation is in metres or millimetres:

    {"cameras":    {"54138969": {"width": 1000, "height": 1002,
                                 "intrinsics": {"fx": 1145.05, "fy": 1143.78, "cx": 512.54, "cy": 515.45,
                                                "k1": -0.207, "k2": 0.248, "k3": -0.003, "p1": -0.001, "p2": -0.001,
                                                "distortion": "human36m"}}},
     "extrinsics": {"S1": {"54138969": {"orientation": [0.1407, -0.1501, -0.7552, 0.6223],
                                        "translation_mm": [1841.1, 4955.3, 1563.4]}}}}

The order of `cameras` is that of the 2D arrays. `orientation` is the quaternion (w, x, y, z) from camera to world,
`translation` the position of the camera: X_camera = q⁻¹ (X_world - t).
"""

import math
from typing import Annotated, cast

import numpy as np
from jaxtyping import Float, Float64
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines.datasets.world import Axis
from pipelines.io import storage
from pipelines.synthetic.cameras import quaternion_to_matrix
from pipelines.video.limits import LONGEST_SIDE_PX
from schemas.cameras import Intrinsics
from schemas.errors import UserError

# A studio has up to hundreds of cameras. Each of them makes a track of every motion, so a small file may ask for
# millions of tracks.
_MOST_CAMERAS = 1_000
# Farthest place of a camera from the world's origin, in metres or millimetres.
_FARTHEST = 1e9

Coordinate = Annotated[float, Field(ge=-_FARTHEST, le=_FARTHEST, allow_inf_nan=False)]
Vector = tuple[Coordinate, Coordinate, Coordinate]
Turn = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]


class Camera(BaseModel):
    """Image size of a camera in pixels, and its intrinsics if they are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(gt=0, le=LONGEST_SIDE_PX)
    height: int = Field(gt=0, le=LONGEST_SIDE_PX)
    intrinsics: Intrinsics | None = None


class Place(BaseModel):
    """Position and orientation of a camera in the world."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    orientation: tuple[Turn, Turn, Turn, Turn]
    translation_m: Vector | None = None
    translation_mm: Vector | None = None

    @model_validator(mode="after")
    def _is_a_place(self) -> "Place":
        if (self.translation_m is None) == (self.translation_mm is None):
            raise ValueError("give either translation_m or translation_mm")
        if abs(math.hypot(*self.orientation) - 1) > 1e-3:
            raise ValueError(f"orientation must be a unit quaternion (w, x, y, z), found {self.orientation}")
        return self

    def to_camera(self, world: Float[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 3"]:
        """World points (m) in camera space (m): q⁻¹ (X - t)."""
        place_m = np.array(self.translation_m or self.translation_mm) * (1.0 if self.translation_m else 1e-3)
        return (np.asarray(world, np.float64) - place_m) @ self.rotation

    @property
    def rotation(self) -> Float64[np.ndarray, "3 3"]:
        """From camera to world."""
        w, x, y, z = np.array(self.orientation) / math.hypot(*self.orientation)
        return quaternion_to_matrix((w, x, y, z))


class CameraTable(BaseModel):
    """Cameras by name, and their extrinsics by subject and camera."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cameras: dict[str, Camera] = Field(min_length=1, max_length=_MOST_CAMERAS)
    extrinsics: dict[str, dict[str, Place]]

    @property
    def up(self) -> Axis:
        """The axis of the world that points up in the pictures of most cameras; z if they have no places."""
        places = [place for cameras in self.extrinsics.values() for place in cameras.values()]
        # The y axis of a camera points down, so up is its opposite.
        mean = -np.mean([place.rotation[:, 1] for place in places] or [[0.0, 0.0, -1.0]], axis=0)
        axis = int(np.abs(mean).argmax())
        return cast(Axis, ("" if mean[axis] > 0 else "-") + "xyz"[axis])

    def place(self, subject: str, camera: str) -> Place:
        """The extrinsics of a camera while a subject was recorded; "Train/S1" is looked up as "S1" too.

        Raises:
            UserError: The table has no such entry.
        """
        for name in (subject, subject.rsplit("/", 1)[-1]):
            if camera in self.extrinsics.get(name, {}):
                return self.extrinsics[name][camera]
        raise UserError(
            f"source.cameras: {subject} has positions, and the table lacks the orientation and translation of camera "
            f"{camera} for them; add extrinsics.{subject}.{camera}"
        )


def read_cameras(uri: str) -> CameraTable:
    """Read a table of cameras.

    Raises:
        UserError: The file cannot be read, or has another format.
    """
    try:
        return CameraTable.model_validate_json(storage.read_bytes(uri))
    except OSError as error:
        raise UserError(f"source.cameras={uri}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise UserError(
            f"source.cameras={uri}: {where}: {first['msg'].removeprefix('Value error, ')}; "
            "the form is described in pipelines/datasets/camera_table.py"
        ) from error
