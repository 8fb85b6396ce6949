"""Config of the lift job."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from schemas.configs.export import ExportFormat, ExportOptions
from schemas.configs.label import NetworkConfig
from schemas.configs.link import LinkConfig
from schemas.job_config import Address, Addresses, JobConfig, ModelAddress, PluginConfig, PluginTable
from schemas.run_config import RunConfig


class LiftWorkersConfig(JobConfig):
    """Number and size of the worker processes. By default they fill the machine or the cluster."""

    lifters: int | None = Field(default=None, ge=1)
    """Number of lifter processes. If not given, as many as the CPUs (or GPUs) allow."""

    cpus_per_lifter: int = Field(default=1, ge=1)
    """CPUs of one lifter process, which is also its number of threads."""

    gpus_per_lifter: float = Field(default=0.0, ge=0)
    """GPUs of one lifter process. With a fraction, several share one GPU: one computes while others read and write."""


class LiftConfig(RunConfig):
    """Config of the lift job, which turns 2D keypoints over time into 3D poses."""

    model: ModelAddress = Field(default="everyday", min_length=1, validate_default=True)
    """The lifter: everyday (it comes with Raylift), models:/NAME@ALIAS, models:/NAME/VERSION, or best.pt in an output
    of the train job (any URI)."""

    trust: str | None = Field(default=None, min_length=1)
    """The lifter outside of this package, package.module:Class, that the model may name: its code is run."""

    tracks: Addresses | None = None
    """Tracks to lift: a file or folder (any URI), or a list. Either this or video."""

    video: Addresses | None = None
    """Videos to label, lift and render: a file, folder or glob, or a list; with fps also numbered pictures. Either this
    or tracks."""

    fps: float | None = Field(default=None, gt=0, le=100_000)
    """With video: the rate that numbered pictures (imgs/%05d.jpg) were taken at, pictures per second."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for the poses and report.json. Run the same command again to resume or to add tracks or
    exports."""

    export: Annotated[
        tuple[ExportFormat, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
    ] = ()
    """Other formats to write, one file per track in a folder of the format's name: npz (NumPy), bvh and glb (animation
    programs; glTF), trc (OpenSim), c3d (motion capture), openpose (joints in the picture, JSON), angles and
    angles_parquet (joint angles over time, degrees, CSV or Parquet)."""

    export_options: ExportOptions = ExportOptions()
    """What exported files are like: units and axes."""

    world: Literal["levelled", "camera"] = "levelled"
    """Space of exports and pages: levelled (people stand upright on level ground, as far as they show where up is) or
    camera (the camera's own axes)."""

    export_start: Literal["video", "track"] = "video"
    """Where the times of exported motions begin: with the video, so that its people keep their times, or each with its
    track."""

    pages: int = Field(default=0, ge=0)
    """Number of tracks to make a page with video and 3D skeleton for, in pages/. With video=… every video has a page
    anyway."""

    refine: bool | None = None
    """Move the whole track so that it explains its keypoints, keeps the lengths of its bones and moves smoothly. If not
    given, done with person-centred lifters, such as everyday."""

    smoothness: float = Field(default=1.0, ge=0, le=100)
    """Weight of smooth motion where tracks are refined. Less keeps more of impacts such as landings and of noise; 0
    evens out no acceleration; more than 1 is for noisy detections of calm motion."""

    stature_m: float | None = Field(default=None, ge=0.4, le=2.6)
    """Standing height of the people, m. Poses and places of each track are scaled to it. If not given, people are as
    large as the lifter takes them to be: about 1.7 m."""

    flip: bool = True
    """Also lift the mirrored keypoints and average both results, as published results do. Takes twice the time."""

    detector: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="movenet_blazepose")
    """With video: the 2D keypoint detector. Its joints must include those that the lifter reads."""

    link: LinkConfig = LinkConfig()
    """With video: how the people found in each frame are joined into tracks."""

    assumed_fov_deg: float | None = Field(default=None, gt=0, lt=180)
    """With video: horizontal field of view to assume for videos whose camera neither a manifest nor their own metadata
    tell, degrees. If not given, 60° along the longer side by person-centred lifters, such as everyday, else none."""

    network: NetworkConfig = NetworkConfig()
    """Which machines may be asked for videos."""

    max_failed: int | None = Field(default=0, ge=0)
    """Number of tracks (and videos) that may fail before the exit code is 1; null: any number."""

    workers: LiftWorkersConfig = LiftWorkersConfig()
    """Number and size of the worker processes."""
