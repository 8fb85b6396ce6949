"""From pixels: videos are labeled into a folder of the output, by the label job's own code."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.detectors.loading import load_detector
from pipelines.io import storage
from pipelines.label import run as label
from pipelines.label.video_sources import find_videos
from pipelines.lifters.checkpoint import LifterCard, require_layout
from schemas.configs.label import LabelConfig
from schemas.configs.lift import LiftConfig
from schemas.formats.videos import VideoSource

# Of the output: what a label job would have written.
LABELS = "labels"


@dataclass(frozen=True)
class Labeling:
    """Videos and how they are labeled."""

    config: LabelConfig
    sources: tuple[VideoSource, ...]

    @property
    def videos(self) -> tuple[str, ...]:
        """Their URIs."""
        return tuple(source.uri for source in self.sources)

    @property
    def tracks(self) -> str:
        """Where their tracks are, once labeled."""
        return storage.join(self.config.output, "tracks")


def plan_labeling(config: LiftConfig, card: LifterCard) -> Labeling:
    """Find the videos, and see that the detector finds what the lifter reads, before anything is written.

    Raises:
        UserError: No such video; the detector cannot be built or has another layout.
    """
    assert config.video is not None
    sources = find_videos(config.video)
    require_layout(card, load_detector(config.detector, 1, "cpu").layout.name)
    labeling = LabelConfig(
        videos=tuple(source.uri for source in sources),
        output=storage.join(storage.absolute(config.output), LABELS),
        detector=config.detector,
        assumed_fov_deg=config.assumed_fov_deg,
    )
    return Labeling(labeling, tuple(sources))


def label_videos(labeling: Labeling, on_progress: Callable[[label.Progress], None]) -> dict[str, Any] | None:
    """Label what is missing; returns the label job's report, None if nothing was.

    Raises:
        UserError: They were labeled with other settings.
        RunFailed: The output cannot be written.
    """
    work = label.survey(labeling.config, labeling.sources)
    return None if work.nothing else label.execute(labeling.config, work, on_progress)
