"""How far a label job is, from its output alone: the manifest, the shards, and when each file was written."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.io import json_documents, storage
from pipelines.label.job import Job
from pipelines.label.ledger import Ledger, read_ledger
from pipelines.label.report import count_rows, failures_of
from schemas import __version__

FORMAT = "raylift.status/1"
MANIFEST, MANIFEST_FORMAT = "job.json", "raylift.label_job/1"
REPORT = "report.json"
# The speed is measured over the last hour, s, because machines come and go and videos differ.
RATE_WINDOW_S = 3600.0
# A job looks stopped if it has written nothing for this many times its longest pause so far, but not before this time,
# s, because it loads models before its first shard.
PATIENCE, LEAST_PATIENCE_S = 3, 300.0
EXAMPLES = 3


def write_manifest(job: Job, ledger: Ledger) -> None:
    """Write into the output what the job that begins now is going to do.

    Raises:
        RunFailed: The manifest cannot be written.
    """
    known = int((ledger.places([source.uri for source in job.sources]) >= 0).sum())
    manifest = {
        "format": MANIFEST_FORMAT,
        "version": __version__,
        "started_at": time.time(),
        "videos": len(job.sources),
        # The number of videos that earlier commands labeled into the same output.
        "other_videos": len(ledger.videos) - known,
    }
    json_documents.write(storage.join(job.output, MANIFEST), manifest)


def status(output: str, now: float | None = None) -> dict[str, Any]:
    """The state of a label job, from its output.

    Args:
        output: The folder.
        now: The time, in seconds since 1970; None: this machine's.
    """
    now = time.time() if now is None else now
    detections, tracks = (storage.join(output, name) for name in ("detections", "tracks"))
    times_s, track_times_s, own_times_s = (written_at(folder) for folder in (detections, tracks, output))
    ledger = _read(detections)
    manifest = _manifest(output) if MANIFEST in own_times_s else {}
    videos = _videos(ledger, manifest)
    shards = _Shards.of(ledger, times_s, own_times_s.get(MANIFEST))
    told_s = {name: own_times_s[name] for name in (MANIFEST, REPORT) if name in own_times_s}
    last_s = max([*times_s.values(), *track_times_s.values(), *told_s.values()], default=None)
    silent_s = None if last_s is None else max(0.0, now - last_s)
    if REPORT in told_s and told_s[REPORT] >= max([*shards.times_s, told_s.get(MANIFEST, 0.0)]):
        state = "finished"
    else:
        state = "stopped" if silent_s is not None and silent_s > shards.patience_s else "working"
    left = None if videos["planned"] is None else videos["planned"] - videos["settled"]
    labeled = left is not None and left < 1e-6  # a tolerance, because these are sums of fractions
    share_rate, frame_rate = shards.rates()
    return {
        "format": FORMAT,
        "job": "label",
        "output": output,
        "state": state,
        "stage": None if state == "finished" else "link" if labeled else "label",
        "started_at": manifest.get("started_at"),
        "last_written_at": last_s,
        "silent_s": silent_s,
        "videos": videos,
        "clips": len(ledger.finished),
        "frames": int(ledger.videos["frames"].to_numpy().sum()),
        "people_in_frames": int(ledger.videos["detections"].to_numpy().sum()),
        "frames_per_s": frame_rate,
        "eta_s": left / share_rate if state == "working" and left and not labeled and share_rate else None,
        "tracks": {
            "linked": state == "finished",
            "files": len(track_times_s),
            "tracks": count_rows(storage.list_folder(tracks, ".parquet")),
        },
        "failures": _failures(ledger),
    }


def written_at(folder: str) -> dict[str, float]:
    """When each finished file of a folder was written, in seconds since 1970 by the clock of the storage."""
    fs, path = storage.filesystem(folder)
    fs.invalidate_cache()
    try:
        entries = fs.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    names = {entry["name"].rstrip("/").rsplit("/", 1)[1]: entry for entry in entries if entry["type"] == "file"}
    return {name: _time_of(entry) for name, entry in names.items() if storage.TEMPORARY not in name}


@dataclass(frozen=True)
class _Shards:
    """The shards that the present run wrote, in the order of time.

    Attributes:
        times_s: When each was written.
        shares: How many videos each holds; parts of videos count.
        frames: Number of frames in the finished clips of each.
        began_s: When the run began, if its manifest says so.
    """

    times_s: np.ndarray
    shares: np.ndarray
    frames: np.ndarray
    began_s: float | None

    @classmethod
    def of(cls, ledger: Ledger, times_s: Mapping[str, float], began_s: float | None) -> "_Shards":
        clips = pa.concat_tables([ledger.finished, ledger.failed])
        place, count = clips["file"].to_numpy(), len(ledger.files)
        frames = (clips["stop_frame"].to_numpy() - clips["start_frame"].to_numpy()) * clips[
            "error"
        ].is_null().to_numpy()
        # A shard that appeared between listing and reading has no time yet; it is taken to be as new as the newest.
        last_s = max(times_s.values(), default=0.0)
        times = np.array([times_s.get(file.rsplit("/", 1)[1], last_s) for file in ledger.files])
        order = np.argsort(times)
        order = order[times[order] >= (began_s or 0.0)]
        shares = np.bincount(place, 1 / clips["clip_count"].to_numpy(), count)
        return cls(times[order], shares[order], np.bincount(place, frames, count)[order], began_s)

    @property
    def patience_s(self) -> float:
        """How long a job may write nothing before it looks stopped."""
        moments_s = self.times_s if self.began_s is None else np.append(self.began_s, self.times_s)
        return max(LEAST_PATIENCE_S, PATIENCE * float(np.diff(moments_s).max(initial=0.0)))

    def rates(self) -> tuple[float | None, float | None]:
        """Recent speed in videos and frames per second; None while too little is written."""
        if not len(self.times_s):
            return None, None
        late = np.flatnonzero(self.times_s >= self.times_s[-1] - RATE_WINDOW_S)
        since_s = self.times_s[late[0]]
        if late[0] == 0 and self.began_s is not None and len(late) < 3:
            since_s = self.began_s  # there are too few shards to leave out the first one
        else:
            late = late[1:]  # the first shard was worked on before the interval begins
        took_s = self.times_s[-1] - since_s
        if not len(late) or took_s <= 0:
            return None, None
        return float(self.shares[late].sum() / took_s), float(self.frames[late].sum() / took_s)


def _manifest(output: str) -> dict[str, Any]:
    return json_documents.read(storage.join(output, MANIFEST), videos=int, other_videos=int)


def _read(detections: str) -> Ledger:
    try:
        return read_ledger(detections, None)
    except FileNotFoundError:  # a job that has just begun removes failed rows, to try them again
        return read_ledger(detections, None)


def _videos(ledger: Ledger, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Number of videos by state; `settled` is the number, parts of videos included, that this run need not work on."""
    counts = ledger.videos["clip_count"].to_numpy()
    done = ledger.videos["done"].combine_chunks().value_lengths().to_numpy()
    lost = ledger.failed.group_by(["video", "clip_index"]).aggregate([])["video"].value_counts()
    failed = np.zeros(len(counts))
    failed[ledger.places(lost.field("values").to_pylist())] = lost.field("counts").to_numpy()
    planned = max(manifest["videos"] + manifest["other_videos"], len(counts)) if manifest else None
    finished = int((done >= counts).sum())
    return {
        "planned": planned,
        "finished": finished,
        "failed": int((failed > 0).sum()),
        "in_progress": int(((done < counts) & (failed == 0)).sum()),
        "settled": float(np.minimum((done + failed) / counts, 1).sum()),
    }


def _failures(ledger: Ledger) -> list[dict[str, Any]]:
    """Why videos failed, most frequent reason first, with examples."""
    table = failures_of(ledger)
    reasons = table.group_by("reason", use_threads=False).aggregate([("video", "count"), ("video", "list")])
    failures = [
        {"reason": reason, "videos": count, "examples": videos[:EXAMPLES]}
        for reason, count, videos in zip(
            *(reasons[name].to_pylist() for name in ("reason", "video_count", "video_list")), strict=True
        )
    ]
    return sorted(failures, key=lambda failure: (-failure["videos"], failure["reason"]))


def _time_of(entry: Mapping[str, Any]) -> float:
    # The name of the field depends on the file system.
    time_of = next(entry[key] for key in ("mtime", "LastModified", "updated", "created") if entry.get(key) is not None)
    if isinstance(time_of, str):
        time_of = datetime.fromisoformat(time_of)
    return time_of.timestamp() if isinstance(time_of, datetime) else float(time_of)
