"""Config of the triangulate job."""

from pydantic import Field

from schemas.job_config import Address, Addresses
from schemas.run_config import RunConfig


class TriangulateConfig(RunConfig):
    """Config of the triangulate job, which makes labeled tracks of several synchronised views and their calibration."""

    tracks: Addresses
    """Tracks of the views: what label or import_keypoints wrote (any URI), or a list. Videos are told apart by the
    names of their cameras: cam01.mp4, take3-cam01.mp4, or the column camera of a manifest. What remains of the name,
    or the folder, is the session."""

    calibration: Address = Field(min_length=1)
    """Calibration of the cameras: a file or folder of Pose2Sim, Anipose, Caliscope, Qualisys, Vicon, OpenCV, COLMAP or
    EasyMocap. {session} in it stands for the name of the session, where each has its own."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for tracks/, sessions/ (a page each) and report.json. Run the same command again to resume, or
    to add sessions."""

    unit_m: float | None = Field(default=None, gt=0)
    """Metres of one unit of the calibration. If not given, that of its format, or metres or millimetres by how far the
    cameras are from each other."""

    sync_window_s: float = Field(default=0.0, ge=0, le=30)
    """The largest difference between the cameras' clocks that is looked for in the motion of the people, seconds; 0:
    the cameras are synchronised."""

    joint_map: Address | None = Field(default=None, min_length=1)
    """Recipe (URI) that fit_noise has written of the detector that made the tracks: joints are moved from where the
    detector sees them (its hips, wrists and ankles are those that annotators click) to where the motion capture has
    them by which it was measured. If not given, labels are the points that the detector sees."""

    max_failed: int | None = Field(default=0, ge=0)
    """Number of sessions that may fail before the exit code is 1; null: any number."""
