"""Labeling from start to end: survey the output, detect what is missing, link what changed, report."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import registry
from pipelines.io import storage
from pipelines.label import pipeline, report, status
from pipelines.label.ledger import Ledger, read_ledger, retire_errors
from pipelines.label.link_shards import Bucket, plan_buckets, remove_outdated
from pipelines.ray_cluster import session
from pipelines.video.isolated import READER
from schemas.configs.label import LabelConfig
from schemas.formats.videos import VideoSource
from schemas.job_config import flatten


@dataclass(frozen=True)
class Work:
    """What a job has to do.

    Attributes:
        sources: The videos given.
        settings: What the detections depend on; an output never mixes two of them.
        ledger: What the output holds.
        todo: The videos that are not finished.
        unlinked: The buckets whose tracks are missing or outdated, as far as known before detecting.
    """

    sources: Sequence[VideoSource]
    settings: dict[str, Any]
    ledger: Ledger
    todo: Sequence[VideoSource]
    unlinked: Sequence[Bucket]

    @property
    def nothing(self) -> bool:
        """Whether all is done already."""
        return not self.todo and not self.unlinked


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        stage: "label" or "link".
        done: Videos done, in fractions.
        total: Videos in all.
        frames: Frames done in this run.
    """

    stage: str
    done: float
    total: int
    frames: int = 0


def survey(config: LabelConfig, sources: Sequence[VideoSource]) -> Work:
    """Compare the videos given with what the output holds.

    Raises:
        UserError: The output was made with other settings.
    """
    settings = settings_of(config)
    detections = folder_of(config, "detections")
    for folder in (detections, folder_of(config, "tracks")):
        storage.remove_leftovers(folder)
    ledger = read_ledger(detections, settings)
    shares = ledger.shares([source.uri for source in sources])
    todo = [source for source, share in zip(sources, shares, strict=True) if share < 1]
    return Work(sources, settings, ledger, todo, _unlinked(config, _buckets(config, ledger, sources)))


def execute(
    config: LabelConfig, work: Work, on_progress: Callable[[Progress], None], reader: str = READER
) -> dict[str, Any]:
    """Do the work; returns the report, which is also written to `report.json`.

    Args:
        config: The job.
        work: Its survey.
        on_progress: Called often.
        reader: "module:Class" of the video reader.

    Raises:
        RunFailed: The output cannot be written.
        UserError: A worker found a mistake of the user's, such as missing weights.
    """
    folder = folder_of(config, "detections")
    status.note_job(storage.absolute(config.output), work.sources, work.ledger)
    session.connect()
    started_at = time.time()
    tally = report.Tally()
    ledger = work.ledger
    with report.PeakMemory() as memory:
        if work.todo:
            uris = [source.uri for source in work.todo]
            resumed = float(ledger.shares(uris).sum())
            on_progress(Progress("label", resumed, len(work.todo)))
            retire_errors(ledger, folder, uris)
            for row in pipeline.run_detection(config, folder, work.todo, ledger, work.settings, reader):
                tally.add(row)
                on_progress(Progress("label", resumed + tally.videos, len(work.todo), tally.frames))
            ledger = read_ledger(folder, work.settings, known=ledger)
        detected_at = time.time()
        buckets = _buckets(config, ledger, work.sources)
        unlinked = _unlinked(config, buckets)
        for done, _ in enumerate(pipeline.run_linking(unlinked, config.link, config.assumed_fov_deg), start=1):
            on_progress(Progress("link", done, len(unlinked), tally.frames))
        remove_outdated(folder_of(config, "tracks"), buckets)
    clock = report.Clock(started_at, detected_at, time.time())
    return report.write_report(config, work.sources, ledger, tally, clock, memory.peak_mb)


def folder_of(config: LabelConfig, name: str) -> str:
    """A folder of the output, by an address that holds in any process: workers may start elsewhere."""
    return storage.join(storage.absolute(config.output), name)


def settings_of(config: LabelConfig) -> dict[str, Any]:
    """What the detections depend on, by dotted path; where the weights lie is none of it, what they are is."""
    detector = registry.load(registry.DETECTORS, config.detector.name).Config(**config.detector.options)
    options = detector.model_dump(exclude=getattr(detector, "PRACTICAL", {"weights"}))
    return {
        "detector": config.detector.name,
        **flatten(options, "detector."),
        "decode.max_side": config.decode.max_side,
        "decode.clip_mb": config.decode.clip_mb,
    }


def _buckets(config: LabelConfig, ledger: Ledger, sources: Sequence[VideoSource]) -> list[Bucket]:
    options = {**config.link.model_dump(), "assumed_fov_deg": config.assumed_fov_deg}
    return plan_buckets(folder_of(config, "tracks"), ledger, sources, options)


def _unlinked(config: LabelConfig, buckets: Sequence[Bucket]) -> list[Bucket]:
    written = set(storage.list_folder(folder_of(config, "tracks"), ".parquet"))
    return [bucket for bucket in buckets if bucket.uri not in written]
