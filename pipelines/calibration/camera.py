"""A calibrated camera, which projects world points. World to camera is `rotation @ point + translation`, metres."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64

from pipelines.synthetic.cameras import project, unproject
from schemas.cameras import Intrinsics
from schemas.errors import UserError

# Two sizes have the same shape if their aspect ratios differ by less than this share.
_SAME_SHAPE = 0.01


@dataclass(frozen=True)
class Camera:
    """A static camera.

    Attributes:
        name: How its file calls it.
        width: Width of the picture that it was calibrated with, px; None if the file does not say.
        height: Height of that picture, px.
        intrinsics: Projection and distortion, px of that picture.
        rotation: World axes to camera axes (x right, y down, z forward).
        translation: The world's origin in camera space, m; NaN where its file has the lens alone.
        offset_s: What is to be added to its times to have those of the other cameras, s.
    """

    name: str
    width: int | None
    height: int | None
    intrinsics: Intrinsics
    rotation: Float64[np.ndarray, "3 3"]
    translation: Float64[np.ndarray, " 3"]
    offset_s: float = 0.0

    @property
    def is_placed(self) -> bool:
        """Whether the position and orientation of the camera are known."""
        return bool(np.isfinite(self.translation).all())

    @property
    def centre(self) -> Float64[np.ndarray, " 3"]:
        """Where the camera is in the world, m."""
        return -self.rotation.T @ self.translation

    def to_camera(self, points: Float[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 3"]:
        """World points in camera space, m."""
        return points @ self.rotation.T + self.translation

    def project(self, points: Float[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 2"]:
        """World points (m) in the picture, px; NaN behind the camera."""
        camera_points = self.to_camera(points)
        return np.where(camera_points[..., 2:] > 0, project(self.intrinsics, camera_points), np.nan)

    def rays(self, pixels: Float[np.ndarray, "*shape 2"]) -> Float64[np.ndarray, "*shape 2"]:
        """The undistorted points at depth 1 on the rays through some pixels."""
        return unproject(self.intrinsics, np.asarray(pixels, np.float64))[..., :2]

    def of_video(self, width: int, height: int, video: str) -> "Camera":
        """The camera for pictures of a size.

        Raises:
            UserError: The camera was calibrated with pictures of another shape.
        """
        if self.width is None or self.height is None:
            return replace(self, width=width, height=height)
        across, down = width / self.width, height / self.height
        if abs(across / down - 1) > _SAME_SHAPE:
            raise UserError(
                f"{video}: is {width} × {height}, but its camera {self.name} was calibrated at {self.width} × "
                f"{self.height}: the calibration is of other cameras, or of pictures that were turned or cropped since"
            )
        return replace(self, width=width, height=height, intrinsics=self.intrinsics.scaled(across, down))
