"""Config of the label job."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.configs.link import LinkConfig
from schemas.job_config import Address, Addresses, JobConfig, PluginConfig, PluginTable
from schemas.run_config import RunConfig


class DecodeConfig(JobConfig):
    """How videos are decoded."""

    max_side: int = Field(default=640, ge=64)
    """Longer side of the decoded frames, px. Larger videos are scaled down; smaller ones keep their size."""

    decoder: Literal["auto", "decord", "pyav"] = "pyav"
    """Decoder: pyav, decord, or auto (decord where it decodes correctly and fast, PyAV otherwise). decord carries an
    FFmpeg of 2020: only for what you trust."""

    clip_mb: float = Field(default=32.0, gt=0)
    """Decoded size of one clip, MB. A clip is what one task works on, keeps in memory and repeats after a failure."""

    timeout_s: float = Field(default=120.0, gt=0)
    """Longest time that decoding one clip may take, seconds. Then the clip fails and the decoder process is
    replaced."""

    cache_gb: float = Field(default=50.0, gt=0)
    """Disk space for local copies of remote videos, GB per machine. The least recently used copies are deleted
    first."""


class WorkersConfig(JobConfig):
    """Number and size of the worker processes. By default they fill the machine or the cluster."""

    detectors: int | None = Field(default=None, ge=1)
    """Number of detector processes. If not given, as many as the CPUs (or GPUs) allow."""

    cpus_per_detector: int = Field(default=1, ge=1)
    """CPUs of one detector process, which is also its number of threads."""

    gpus_per_detector: float = Field(default=0.0, ge=0)
    """GPUs of one detector process. A fraction lets several processes share one GPU."""

    decoders: int | None = Field(default=None, ge=1)
    """Number of decoder processes for GPU detectors. If not given, one per free CPU. CPU detectors decode for
    themselves."""

    clips_per_file: int = Field(default=32, ge=1)
    """Number of clips in one detections file. A killed job loses at most the files it has not finished. Raise it for
    huge corpora."""


class NetworkConfig(JobConfig):
    """Which machines may be asked for what lists name."""

    allow_private: bool = False
    """Whether manifests, tracks and redirects may lead to private addresses: this machine, the local network, the
    cloud's own services. Hosts that the command line names may always have them."""


class LabelConfig(RunConfig):
    """Config of the label job, which runs a 2D keypoint detector over videos and joins the people into tracks."""

    videos: Addresses
    """Videos: a file, folder, glob or URI, a list of these, or a manifest (.csv or .parquet with a column uri). With
    fps: also numbered pictures (imgs/%05d.jpg), or folders of them."""

    fps: float | None = Field(default=None, gt=0, le=100_000)
    """The rate that numbered pictures were taken at, pictures per second."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for detections/, tracks/ and report.json. Run the same command again to resume or to add
    videos."""

    detector: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="blazepose")
    """The 2D keypoint detector."""

    decode: DecodeConfig = DecodeConfig()
    """How videos are decoded."""

    link: LinkConfig = LinkConfig()
    """How people are joined into tracks over time."""

    assumed_fov_deg: float | None = Field(default=None, gt=0, lt=180)
    """Horizontal field of view to assume for videos whose camera neither a manifest nor their own metadata tell,
    degrees. If not given, none is assumed."""

    network: NetworkConfig = NetworkConfig()
    """Which machines may be asked for videos."""

    max_failed: int | None = Field(default=0, ge=0)
    """Number of videos that may fail before the exit code is 1; null: any number."""

    gone: Literal["keep", "drop"] = "keep"
    """Labels of videos that are no longer where they were: keep (they are told of), or drop. A disk that is not mounted
    looks as if its videos were gone."""

    workers: WorkersConfig = WorkersConfig()
    """Number and size of the worker processes."""
