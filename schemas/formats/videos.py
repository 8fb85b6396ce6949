"""A video to work on: its address and what a manifest may say of it."""

from pydantic import BaseModel, ConfigDict

from schemas.cameras import Intrinsics


class VideoSource(BaseModel):
    """One input video.

    Attributes:
        uri: Absolute path or URI; it is the video's identity.
        subject: Who moves, if a manifest says so.
        action: What is done, if a manifest says so.
        camera: Camera id, if a manifest says so.
        intrinsics: Calibration, if a manifest gives it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    subject: str | None = None
    action: str | None = None
    camera: str | None = None
    intrinsics: Intrinsics | None = None
