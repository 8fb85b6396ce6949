"""A video to label: its address, and what a manifest of videos may add."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.cameras import Intrinsics, WrongCamera

Pixels = Annotated[float, Field(gt=0)]
# Two shapes of pictures count as the same, and pixels as square, if they differ by at most this share.
_SAME_SHAPE = 0.01


class VideoSource(BaseModel):
    """One input video.

    Attributes:
        uri: Absolute path or URI, which identifies the video.
        subject: Name of the person, if the manifest has it.
        action: Name of the action, if the manifest has it.
        camera: Id of the camera, if the manifest has it.
        intrinsics: Calibration of the camera, if the manifest has it.
        calibrated_wh: Size of the pictures that it was calibrated with, px; None: that of the video.
        fov_deg: Horizontal field of view, if the manifest has it instead of a calibration.
        version: What a store's listing says of the object that the video is now; None if nothing does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    uri: str
    subject: str | None = None
    action: str | None = None
    camera: str | None = None
    intrinsics: Intrinsics | None = None
    calibrated_wh: tuple[Pixels, Pixels] | None = None
    fov_deg: Annotated[float, Field(ge=5, le=175)] | None = None
    version: str | None = None

    @model_validator(mode="after")
    def _one_camera(self) -> Self:
        if self.intrinsics and self.fov_deg is not None:
            raise ValueError("fov and fx, fy, cx, cy both describe the camera; give one of them")
        if self.calibrated_wh and not self.intrinsics:
            raise ValueError("width and height belong to a calibration; give fx, fy, cx and cy too")
        return self

    def facts(self) -> dict[str, Any]:
        """The facts about the video that are hashed; fields that version 0.1.0 lacked are included only if given."""
        later = {name for name in ("calibrated_wh", "fov_deg") if getattr(self, name) is None}
        facts = self.model_dump(exclude={*later, "version"})
        if self.intrinsics and not self.intrinsics.k4:
            del facts["intrinsics"]["k4"]
        return facts

    def intrinsics_at(self, width: int, height: int) -> Intrinsics | None:
        """The calibration for the size that the video turns out to have; None if there is none.

        Raises:
            WrongCamera: The calibration cannot belong to this picture.
        """
        if self.fov_deg is not None:
            return Intrinsics.of_field_of_view(self.fov_deg, width, height)
        if self.intrinsics is None:
            return None
        given = self.calibrated_wh or (width, height)
        scaled = self.intrinsics.scaled(width / given[0], height / given[1])
        if (given[0] - given[1]) * (width - height) < 0:
            raise WrongCamera(
                f"camera: calibrated at {given[0]:g}x{given[1]:g} px, the picture is {width}x{height} px: it was "
                "turned since; give the calibration of upright pictures"
            )
        if reason := scaled.implausible(width, height):
            calibrated_size = (
                f"calibrated at {given[0]:g}x{given[1]:g} px" if self.calibrated_wh else "no size of the calibration"
            )
            raise WrongCamera(
                f"camera: {reason}: the picture is {width}x{height} px, {calibrated_size}; give the columns width "
                "and height with the size that fx, fy, cx and cy are for (1 and 1 if they are normalised)"
            )
        return scaled

    def note_at(self, width: int, height: int) -> str | None:
        """A warning about the calibration, for the size that the video turns out to have; None if nothing is."""
        intrinsics = self.intrinsics_at(width, height)
        # Pixels that were not square may have been resampled to square ones; a size of 1 × 1 means normalised
        # intrinsics.
        if intrinsics is None or self.calibrated_wh in (None, (1, 1)) or _same(intrinsics.fx, intrinsics.fy):
            return None
        across, down = self.calibrated_wh
        if _same(across * height, down * width):
            return None
        return (
            f"its camera was calibrated at {across:g}x{down:g} px, another shape than {width}x{height} px: right if "
            "the picture was stretched since, wrong if it was cropped"
        )


def _same(first: float, second: float) -> bool:
    return abs(first / second - 1) <= _SAME_SHAPE
