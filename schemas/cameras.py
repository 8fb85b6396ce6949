"""Camera intrinsics, with the distortion model they belong to and where they come from.

Pixels are those of the upright (display) image at full size. Camera space is x right, y down, z forward.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Distortion = Literal["none", "opencv", "human36m"]
Provenance = Literal["calibrated", "assumed_fov", "none"]

DISTORTION_FIELDS = ("k1", "k2", "k3", "p1", "p2")


class Intrinsics(BaseModel):
    """Pinhole intrinsics with lens distortion, in pixels.

    The two distortion models name their coefficients alike but differ: the tangential cross terms of `opencv`
    (Brown-Conrady) have coefficient 2, those of `human36m` coefficient 1, with (p1, p2) along (x, y). So the model must
    be given with the coefficients.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fx: float = Field(gt=0)
    fy: float = Field(gt=0)
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    distortion: Distortion = "none"

    @model_validator(mode="after")
    def _distortion_is_named(self) -> Self:
        if self.distortion == "none" and any(getattr(self, name) for name in DISTORTION_FIELDS):
            raise ValueError("distortion coefficients need distortion=opencv or distortion=human36m")
        return self
