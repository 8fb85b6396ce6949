"""A video to label: its address, and what a manifest of videos may add."""

from pydantic import BaseModel, ConfigDict

from schemas.cameras import Intrinsics


class VideoSource(BaseModel):
    """One input video.

    Attributes:
        uri: Absolute path or URI, which identifies the video.
        subject: Name of the person, if the manifest has it.
        action: Name of the action, if the manifest has it.
        camera: Id of the camera, if the manifest has it.
        intrinsics: Calibration of the camera, if the manifest has it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    subject: str | None = None
    action: str | None = None
    camera: str | None = None
    intrinsics: Intrinsics | None = None
