"""What a label job did, in numbers: `report.json`, the terminal summary and the MLflow run all come from here."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import psutil
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.io import json_documents, storage
from pipelines.io.shards import digest
from pipelines.label.job import Job
from pipelines.label.ledger import Ledger
from schemas.configs.label import LabelConfig

FORMAT = "raylift.report/1"
STAGES = ("plan", "decode", "detect", "write")


@dataclass
class Tally:
    """Running sums over the clips that this run wrote; stage seconds are summed over all workers."""

    clips: int = 0
    frames: int = 0
    first_began_at: float = float("inf")
    stage_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    _share: dict[str, float] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one written clip."""
        self.clips += 1
        self.first_began_at = min(self.first_began_at, row["began_at"])
        self.frames += row["stop_frame"] - row["start_frame"]
        self._share[row["video"]] = self._share.get(row["video"], 0.0) + 1 / row["clip_count"]
        for stage in STAGES:
            self.stage_s[stage] += row[f"{stage}_s"] or 0.0

    @property
    def videos(self) -> float:
        """Number of videos done in this run; parts of videos count."""
        return sum(self._share.values())


@dataclass(frozen=True)
class Clock:
    """When a run's parts ended, seconds since 1970."""

    started_at: float
    detected_at: float
    linked_at: float


class PeakMemory:
    """Samples the memory of this process and its children, shared pages counted once (PSS)."""

    # Reading the memory maps of all processes can take a second of CPU time, so pauses are at least REST times as long
    # as a reading.
    INTERVAL_S = 1.0
    REST = 100

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        root = psutil.Process()
        took_s = 0.0
        while not self._stop.wait(max(self.INTERVAL_S, self.REST * took_s)):
            started, total = time.perf_counter(), 0
            for process in [root, *root.children(recursive=True)]:
                try:
                    used = process.memory_full_info()
                    total += getattr(used, "pss", used.rss)
                except psutil.Error:
                    continue  # the process has ended, or belongs to another user
            self.peak_mb = max(self.peak_mb, total / 1e6)
            took_s = time.perf_counter() - started


def write_report(
    job: Job, ledger: Ledger, tally: Tally, clock: Clock, peak_memory_mb: float, gone: Sequence[str] = ()
) -> dict[str, Any]:
    """Compose the report and write it to `report.json` in the output.

    Args:
        job: The job.
        ledger: What the output holds now.
        tally: What this run did.
        clock: When.
        peak_memory_mb: Its memory.
        gone: Labeled videos that are no longer where they were.

    Raises:
        RunFailed: The report cannot be written.
    """
    config = job.config
    ledger = ledger.only([source.uri for source in job.sources])
    videos, finished = ledger.videos, ledger.finished
    track_files = storage.list_folder(job.tracks, ".parquet")
    failures = failures_of(ledger).to_pylist()
    # Start-up is the time before the first clip, in which processes start and load weights.
    began_at = min(tally.first_began_at, clock.detected_at)
    report = {
        "format": FORMAT,
        "output": config.output,
        "videos": len(job.sources),
        "videos_failed": len({failure["video"] for failure in failures}),
        "clips": len(finished),
        "frames": int(videos["frames"].to_numpy().sum()),
        "people_in_frames": int(videos["detections"].to_numpy().sum()),
        "tracks": count_rows(track_files),
        "decoders": _decoders(finished),
        "failures": failures,
        "damaged": finished.filter(pc.field("damage") != "").select(["video", "damage"]).to_pylist(),
        "notes": finished.filter(pc.field("note").is_valid()).select(["video", "note"]).to_pylist(),
        "too_slow": _too_slow(videos, config),
        "left_out": job.left_out.document(),
        "gone": list(gone),
        "run": {
            "clips": tally.clips,
            "frames": tally.frames,
            "seconds": clock.linked_at - clock.started_at,
            "startup_s": began_at - clock.started_at,
            "frames_per_s": tally.frames / (clock.detected_at - began_at) if tally.frames else 0.0,
            "stages": {
                **{stage: _stage(seconds, tally.frames) for stage, seconds in tally.stage_s.items()},
                "link": _stage(clock.linked_at - clock.detected_at, tally.frames),
            },
            "peak_memory_mb": peak_memory_mb,
        },
        "digest": digest([file.rsplit("/", 1)[1] for file in track_files]),
    }
    json_documents.write(storage.join(config.output, "report.json"), report)
    return report


def failures_of(ledger: Ledger) -> pa.Table:
    """A table of `video` and `reason`: each reason for which clips of a video failed, once, sorted."""
    reasons = ledger.failed.select(["video", "error"]).rename_columns(["video", "reason"])
    return (
        reasons.group_by(["video", "reason"]).aggregate([]).sort_by([("video", "ascending"), ("reason", "ascending")])
    )


def count_rows(files: Sequence[str]) -> int:
    """Number of rows of some Parquet files, from their footers."""
    with ThreadPoolExecutor(16) as pool:  # the threads wait for storage, they do not compute
        return sum(pool.map(_row_count, files))


def _decoders(clips: pa.Table) -> dict[str, int]:
    """Number of videos that each decoder has read at least a part of."""
    pairs = clips.filter(pc.field("decoder").is_valid()).group_by(["video", "decoder"]).aggregate([])
    counts = pairs.group_by("decoder").aggregate([("video", "count")]).sort_by("decoder")
    return dict(zip(counts["decoder"].to_pylist(), counts["video_count"].to_pylist(), strict=True))


def _too_slow(videos: pa.Table, config: LabelConfig) -> list[dict[str, str]]:
    """Videos without tracks whose frames are further apart than the largest gap of a track, and what to do about it."""
    slow = videos.filter((pc.field("fps") > 0) & (pc.field("fps") * config.link.max_gap_s < 1))
    return [
        {
            "video": video,
            "problem": f"{fps:g} frames/s: further apart than link.max_gap_s={config.link.max_gap_s:g}, "
            f"so nobody is tracked; give link.max_gap_s={1 / fps:.2g} or more",
        }
        for video, fps in zip(slow["video"].to_pylist(), slow["fps"].to_pylist(), strict=True)
    ]


def _stage(seconds: float, frames: int) -> dict[str, float]:
    return {"seconds": seconds, "frames_per_s": frames / seconds if seconds else 0.0}


def _row_count(file: str) -> int:
    with storage.open_table(file) as table:
        return table.metadata.num_rows
