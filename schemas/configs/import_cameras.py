"""Config of the import_cameras job."""

from pydantic import Field, field_validator

from schemas.job_config import Address, Addresses, JobConfig


class ImportCamerasConfig(JobConfig):
    """Config of the import_cameras job, which writes a manifest of videos with the calibration of their cameras."""

    videos: Addresses
    """Videos: a file, folder, glob or URI, a list of these, or a manifest. Their names say of which camera they are:
    cam01.mp4, take3-cam01.mp4, or the column camera."""

    calibration: Address = Field(min_length=1)
    """Calibration of the cameras: a file or folder of Pose2Sim, Anipose, Caliscope, Qualisys, Vicon, OpenCV, COLMAP or
    EasyMocap."""

    output: Address = Field(min_length=1)
    """The manifest to write (any URI), for label videos=…: a CSV file."""

    @field_validator("output")
    @classmethod
    def _is_csv(cls, output: str) -> str:
        if not output.endswith(".csv"):
            raise ValueError("must end in .csv, as the manifest is a table of that kind")
        return output
