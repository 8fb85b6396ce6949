"""Camera intrinsics, with the distortion model they belong to and where they come from.

Pixels are those of the upright (display) image at full size. Camera space is x right, y down, z forward.
"""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.errors import UserError

Distortion = Literal["none", "opencv", "human36m", "fisheye"]
Provenance = Literal["calibrated", "metadata", "assumed_fov", "none"]
"""Where intrinsics come from: a calibration or field of view that was given, the focal length in the video file's
metadata, or an assumed field of view."""

# Fields of view that lenses have, in degrees; the widest fisheyes see behind themselves.
_FIELDS_OF_VIEW, _FISHEYE_FIELDS_OF_VIEW = (5.0, 175.0), (5.0, 280.0)
# The names of the coefficients that each distortion model has.
_COEFFICIENTS: dict[Distortion, tuple[str, ...]] = {
    "none": (),
    "opencv": ("k1", "k2", "k3", "p1", "p2"),
    "human36m": ("k1", "k2", "k3", "p1", "p2"),
    "fisheye": ("k1", "k2", "k3", "k4"),
}
# Pixels of widescreen films and anamorphic lenses are at most this many times as wide as they are high.
_MOST_PIXEL_ASPECT = 2.0
# Limits at the edge of the picture: a lens enlarges by less than the first number compared with the middle, and shifts
# sideways by less than the second, as a share of the distance from the middle. Coefficients beyond these limits belong
# to another distortion model or another unit.
_MOST_ENLARGED, _MOST_TANGENTIAL = 2.0, 0.5
# The line from the middle to the edge of the picture is checked at this many points.
_STEPS = 500


class WrongCamera(UserError):
    """A calibration that cannot be that of a video."""


class Intrinsics(BaseModel):
    """Pinhole intrinsics with lens distortion, in pixels.

    The distortion models name their coefficients alike but differ: the tangential cross terms of `opencv`
    (Brown-Conrady) have coefficient 2, those of `human36m` coefficient 1, with (p1, p2) along (x, y); `fisheye` is the
    model of cv2.fisheye, a polynomial in the angle off the axis. So the model must be given with the coefficients.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fx: float = Field(gt=0)
    fy: float = Field(gt=0)
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k4: float = 0.0
    distortion: Distortion = "none"

    @model_validator(mode="after")
    def _distortion_is_named(self) -> Self:
        known = _COEFFICIENTS[self.distortion]
        if foreign := [
            name for name in ("k1", "k2", "k3", "k4", "p1", "p2") if getattr(self, name) and name not in known
        ]:
            if self.distortion == "none":
                raise ValueError("distortion coefficients need distortion=opencv, human36m or fisheye")
            raise ValueError(f"distortion={self.distortion} has {', '.join(known)}, and no {', '.join(foreign)}")
        return self

    @classmethod
    def of_field_of_view(cls, degrees: float, width: float, height: float) -> Self:
        """Square pixels, the principal point in the middle.

        Args:
            degrees: Horizontal field of view.
            width: Of the picture, px.
            height: Of the picture, px.
        """
        focal = width / 2 / math.tan(math.radians(degrees) / 2)
        return cls(fx=focal, fy=focal, cx=width / 2, cy=height / 2)

    @classmethod
    def of_focal_35mm(cls, focal_mm: float, width: float, height: float) -> Self:
        """Square pixels, the principal point in the middle, and the longer side 36 mm wide.

        Args:
            focal_mm: Focal length in terms of 35 mm film.
            width: Of the picture, px.
            height: Of the picture, px.
        """
        focal = focal_mm / 36 * max(width, height)
        return cls(fx=focal, fy=focal, cx=width / 2, cy=height / 2)

    def scaled(self, across: float, down: float) -> Self:
        """The intrinsics for the picture scaled by these factors; distortion does not depend on the resolution."""
        values = {"fx": self.fx * across, "fy": self.fy * down, "cx": self.cx * across, "cy": self.cy * down}
        return self.model_copy(update=values)

    def implausible(self, width: float, height: float) -> str | None:
        """Why these intrinsics cannot belong to a picture of this size; None if they can.

        Args:
            width: Of the picture, px.
            height: Of the picture, px.
        """
        if not (0 < self.cx < width and 0 < self.cy < height):
            return f"the principal point ({self.cx:g}, {self.cy:g}) lies outside the picture"
        fisheye = self.distortion == "fisheye"
        least, most = _FISHEYE_FIELDS_OF_VIEW if fisheye else _FIELDS_OF_VIEW
        for focal, side in ((self.fx, width), (self.fy, height)):
            # Without distortion, a fisheye images a point at its angle times the focal length from the middle.
            degrees = math.degrees(side / focal if fisheye else 2 * math.atan(side / 2 / focal))
            if not least <= degrees <= most:
                return f"the focal length {focal:g} makes a field of view of {degrees:.1f} degrees"
        if not 1 / _MOST_PIXEL_ASPECT <= self.fx / self.fy <= _MOST_PIXEL_ASPECT:
            return f"the focal lengths fx={self.fx:g} and fy={self.fy:g} differ more than those of any camera"
        return self._impossible_lens(width, height)

    def _impossible_lens(self, width: float, height: float) -> str | None:
        """Why no lens has these coefficients, if none has: the picture's edge is out of reach or far too large."""
        edge = min(self.cx / self.fx, (width - self.cx) / self.fx, self.cy / self.fy, (height - self.cy) / self.fy)
        fisheye = self.distortion == "fisheye"
        powers = (self.k1, self.k2, self.k3, self.k4) if fisheye else (self.k1, self.k2, self.k3)
        if not any((*powers, self.p1, self.p2)):
            return None
        # For a fisheye these are angles from the optical axis, rad; for other models they are tangents of angles.
        farthest = math.pi if fisheye else math.tan(math.radians(_FIELDS_OF_VIEW[1] / 2))
        distorted, undistorted = 0.0, 0.0
        for step in range(1, _STEPS + 1):
            undistorted = farthest * (step / _STEPS) ** 2
            before, distorted = (
                distorted,
                undistorted * (1 + sum(k * undistorted ** (2 * n) for n, k in enumerate(powers, start=1))),
            )
            if distorted <= before:
                fold_px = min(self.fx, self.fy) * before
                return (
                    f"the distortion folds the picture {fold_px:.0f} px from its middle; check its model and "
                    "coefficients"
                )
            if distorted >= edge:
                break
        tangential = 3 * undistorted * max(abs(self.p1), abs(self.p2))
        if distorted > _MOST_ENLARGED * undistorted or tangential > _MOST_TANGENTIAL:
            return "the distortion moves the picture's edge farther than any lens; check its model and coefficients"
        return None
