"""A label job: its config with the addresses and settings that all its parts share, resolved once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines import registry
from pipelines.io import storage
from pipelines.io.addresses import named_hosts
from pipelines.io.manifest import Settings
from pipelines.label.video_files import LeftOut
from pipelines.video.isolated import READER
from schemas.configs.label import LabelConfig
from schemas.formats.videos import VideoSource
from schemas.job_config import flatten


@dataclass(frozen=True)
class Job:
    """A label job that is known to be possible.

    Attributes:
        config: Its config.
        sources: The videos to label, each once.
        output: The output, by an address that holds in any process: workers may start in another folder.
        settings: What the detections depend on, by dotted path; an output never mixes two of them.
        reader: "module:Class" of the video reader.
        left_out: What the folders of videos hold besides.
    """

    config: LabelConfig
    sources: Sequence[VideoSource]
    output: str
    settings: Mapping[str, Any]
    reader: str = READER
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def detections(self) -> str:
        """Folder of the detections."""
        return storage.join(self.output, "detections")

    @property
    def tracks(self) -> str:
        """Folder of the tracks."""
        return storage.join(self.output, "tracks")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts of web servers that may have private addresses."""
        return named_hosts(self.config.videos, self.config.network.allow_private)

    @property
    def link_options(self) -> dict[str, Any]:
        """What the tracks depend on besides the detections."""
        return {**self.config.link.model_dump(), "assumed_fov_deg": self.config.assumed_fov_deg}


def detection_settings(config: LabelConfig) -> Settings:
    """The settings that detections depend on; the weights count by their hash in the shards, not by their address."""
    detector = registry.config_class(registry.DETECTORS, config.detector.name)(**config.detector.options)
    options = detector.model_dump(exclude=getattr(detector, "PRACTICAL", {"weights"}))
    values = {
        "detector": config.detector.name,
        **flatten(options, "detector."),
        "decode.max_side": config.decode.max_side,
        "decode.clip_mb": config.decode.clip_mb,
    }
    return Settings(values, registry.options_if_absent(registry.DETECTORS, config.detector.name, "detector"))
