"""The label job from start to end.

1. `prepare`: the videos are found, addresses and settings resolved.
2. `survey`: the output is read; what it lacks is the work.
3. `execute`: missing clips are detected, changed videos are linked into tracks, the report is written.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.detectors.loading import require_use_of_gpus
from pipelines.io import storage
from pipelines.label import report, status
from pipelines.label.job import Job, detection_settings
from pipelines.label.ledger import Ledger, read_ledger, retire_errors, retire_videos
from pipelines.label.link_shards import LinkShard, plan_link_shards, remove_outdated
from pipelines.label.video_files import LeftOut
from pipelines.label.video_sources import find_videos
from pipelines.label.video_versions import ask_remote, changed_videos, gone_videos
from pipelines.ray_cluster import session
from schemas.configs.label import LabelConfig
from schemas.formats.videos import VideoSource
from schemas.progress import Progress


@dataclass(frozen=True)
class Work:
    """What the output of a job holds, and what it lacks.

    Attributes:
        ledger: What it holds.
        videos: The videos that are not finished.
        unlinked: The link shards whose tracks are missing or outdated, as far as known before detecting.
        retired: Addresses of the labeled videos that are other files now, or are gone and shall be dropped.
        gone: Addresses of the labeled videos that are no longer where they were.
    """

    ledger: Ledger
    videos: Sequence[VideoSource]
    unlinked: Sequence[LinkShard]
    retired: Sequence[str] = ()
    gone: Sequence[str] = ()

    @property
    def nothing_to_do(self) -> bool:
        """Whether the output is complete."""
        return not self.videos and not self.unlinked and not self.retired


def prepare(config: LabelConfig, whole_output: str | None = None) -> Job:
    """Find the videos and resolve addresses and settings.

    Args:
        config: The config.
        whole_output: Folder of all that comes of this command, where that is more than labels.

    Raises:
        UserError: An input does not exist, a manifest cannot be used, the detector is unknown, or it uses no GPU.
    """
    require_use_of_gpus(config.detector, config.workers.gpus_per_detector)
    left_out = LeftOut()
    sources = find_videos(config.videos, whole_output or config.output, left_out, config.fps)
    settings = detection_settings(config)
    return Job(config, sources, storage.absolute(config.output), settings, left_out=left_out)


def survey(job: Job) -> Work:
    """Compare the videos with what the output holds.

    Raises:
        UserError: The output was begun with other settings.
    """
    for folder in (job.detections, job.tracks):
        storage.remove_leftovers(folder)
    ledger = read_ledger(job.detections, job.settings)
    shares = ledger.shares([source.uri for source in job.sources])
    remote = ask_remote(job.sources, ledger, job.hosts)
    changed = set(changed_videos(job.sources, ledger, remote))
    gone = gone_videos(job.sources, ledger, remote)
    retired = [*sorted(changed), *(gone if job.config.gone == "drop" else ())]
    again = set(retired)
    unfinished = [s for s, share in zip(job.sources, shares, strict=True) if share < 1 or s.uri in again]
    return Work(ledger, unfinished, _unlinked(job, _link_shards(job, ledger)), retired, gone)


def execute(job: Job, work: Work, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Do the work; returns the report, which is also written to `report.json`.

    Args:
        job: The job.
        work: What its output lacks.
        on_progress: Called often.

    Raises:
        RunFailed: The output cannot be written.
        UserError: Workers found a mistake that only they can see, such as missing weights.
    """
    from pipelines.label import pipeline  # here: it loads Ray, which a job with nothing to do never needs

    ledger = _without_retired(job, work)
    status.write_manifest(job, ledger)
    session.connect()
    started_at = time.time()
    tally = report.Tally()
    with report.PeakMemory() as memory:
        if work.videos:
            uris = [source.uri for source in work.videos]
            resumed = float(ledger.shares(uris).sum())
            on_progress(Progress("label", resumed, len(uris), "videos"))
            retire_errors(ledger, job.detections, uris)
            for row in pipeline.run_detection(job, work.videos, ledger):
                tally.add(row)
                on_progress(Progress("label", resumed + tally.videos, len(uris), "videos", f"{tally.frames:,} frames"))
            ledger = read_ledger(job.detections, job.settings, known=ledger)
        detected_at = time.time()
        shards = _link_shards(job, ledger)
        unlinked = _unlinked(job, shards)
        for done, _ in enumerate(pipeline.run_linking(job, unlinked), start=1):
            on_progress(Progress("link", done, len(unlinked), "files"))
        remove_outdated(job.tracks, shards)
    clock = report.Clock(started_at, detected_at, time.time())
    return report.write_report(job, ledger, tally, clock, memory.peak_mb, work.gone)


def _without_retired(job: Job, work: Work) -> Ledger:
    if not work.retired:
        return work.ledger
    retire_videos(work.ledger, job.detections, work.retired)
    return read_ledger(job.detections, job.settings)


def _link_shards(job: Job, ledger: Ledger) -> list[LinkShard]:
    return plan_link_shards(job.tracks, ledger, job.sources, job.link_options)


def _unlinked(job: Job, shards: Sequence[LinkShard]) -> list[LinkShard]:
    written = set(storage.list_folder(job.tracks, ".parquet"))
    return [shard for shard in shards if shard.uri not in written]
