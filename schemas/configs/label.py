"""What the label job may be told."""

from typing import Annotated

from pydantic import Field

from schemas.configs.link import LinkConfig
from schemas.job_config import JobConfig, PluginConfig, PluginTable


class DecodeConfig(JobConfig):
    """How frames are read."""

    max_side: int = Field(default=640, ge=64)
    """Longer side of the decoded frames, px; larger videos are scaled down while decoding, none is enlarged."""

    decoder: str = Field(default="auto", pattern="^(auto|decord|pyav)$")
    """auto (decord where it is right, else PyAV), decord or pyav."""

    clip_mb: float = Field(default=32.0, gt=0)
    """Decoded size of one clip, MB: the unit of work, of memory and of retry."""

    timeout_s: float = Field(default=120.0, gt=0)
    """Longest time the decoding of one clip may take, s; then the clip fails and the decoder is replaced."""

    cache_gb: float = Field(default=50.0, gt=0)
    """Disk for local copies of remote videos, GB per machine; those used longest ago make room."""


class WorkersConfig(JobConfig):
    """How many processes work; the defaults fill the machine or the cluster."""

    detectors: int | None = Field(default=None, ge=1)
    """Detector processes; none: as many as the CPUs (or GPUs) hold."""

    cpus_per_detector: int = Field(default=1, ge=1)
    """CPUs, and so threads, of one detector."""

    gpus_per_detector: float = Field(default=0.0, ge=0)
    """GPUs of one detector; a fraction shares one GPU among several."""

    decoders: int | None = Field(default=None, ge=1)
    """Decoding processes that feed GPU detectors; none: as many as CPUs are left. CPU detectors decode themselves."""

    clips_per_file: int = Field(default=32, ge=1)
    """Clips in one detections file: what a killed job loses at most per write; raise it for huge corpora."""


class LabelConfig(JobConfig):
    """Label videos with a 2D keypoint detector."""

    videos: str | tuple[str, ...]
    """A file, folder, glob, URI, list of these, or a manifest (.csv or .parquet with a column uri)."""

    output: str = Field(min_length=1)
    """Folder (any URI) for detections/, tracks/ and report.json; run again to resume or to add videos."""

    detector: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="blazepose")
    """The 2D keypoint detector."""

    decode: DecodeConfig = DecodeConfig()
    """How frames are read."""

    link: LinkConfig = LinkConfig()
    """How people are joined over time."""

    assumed_fov_deg: float | None = Field(default=None, gt=0, lt=180)
    """Horizontal field of view assumed for videos without intrinsics, degrees; none: they stay without."""

    max_failed: int | None = Field(default=0, ge=0)
    """Videos that may fail before the exit code is 1; null: any number."""

    workers: WorkersConfig = WorkersConfig()
    """How many processes work."""
