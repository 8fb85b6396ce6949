"""What the lift job may be told."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from schemas.job_config import JobConfig, PluginConfig, PluginTable

ExportFormat = Literal["npz", "bvh"]


class LiftWorkersConfig(JobConfig):
    """How many processes work; the defaults fill the machine or the cluster."""

    lifters: int | None = Field(default=None, ge=1)
    """Lifting processes; none: as many as the CPUs (or GPUs) hold."""

    cpus_per_lifter: int = Field(default=1, ge=1)
    """CPUs, and so threads, of one lifter."""

    gpus_per_lifter: float = Field(default=0.0, ge=0)
    """GPUs of one lifter; a fraction shares one GPU among several, so that it works while others read and write."""


class LiftConfig(JobConfig):
    """Lift 2D keypoints over time to 3D poses."""

    model: str = Field(min_length=1)
    """The lifter: models:/name@alias, models:/name/3, or best.pt of an output of jobs.train (any URI)."""

    tracks: str | tuple[str, ...] | None = None
    """Tracks to lift: a file or folder (any URI), or a list; either this or video."""

    video: str | tuple[str, ...] | None = None
    """Videos to label, lift and render: a file, folder or glob, or a list; either this or tracks."""

    output: str = Field(min_length=1)
    """Folder (any URI) for the poses and report.json; run again to resume, to add tracks or exports."""

    export: Annotated[
        tuple[ExportFormat, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
    ] = ()
    """Other formats, a file a track: npz (NumPy), bvh (animation programs), in folders of these names in the output."""

    pages: int = Field(default=0, ge=0)
    """Pages to look at, in pages/ of the output, for so many tracks whose video can be read; videos have theirs."""

    flip: bool = True
    """Lift the mirror image too and average, as published results do; twice the time."""

    detector: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="blazepose")
    """With video: the 2D keypoint detector; it must find the joints that the lifter reads."""

    assumed_fov_deg: float | None = Field(default=None, gt=0, lt=180)
    """With video: horizontal field of view assumed for videos without intrinsics, degrees; none: without."""

    max_failed: int | None = Field(default=0, ge=0)
    """Tracks (and videos) that may fail before the exit code is 1; null: any number."""

    workers: LiftWorkersConfig = LiftWorkersConfig()
    """How many processes work."""
