"""The stage plan: probes a video and cuts it into clips, a row each, without those that the output holds already."""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipelines.io import storage
from pipelines.io.shards import digest
from pipelines.label.video_versions import local_version
from pipelines.ray_cluster.logs import log_failure
from pipelines.video.errors import reason_of
from pipelines.video.fetch import fetch_video
from pipelines.video.info import VideoInfo
from pipelines.video.isolated import IsolatedReader
from pipelines.video.remote_versions import version_now
from schemas.cameras import WrongCamera
from schemas.configs.label import DecodeConfig
from schemas.errors import RunFailed
from schemas.formats.detections import PLANNED
from schemas.formats.videos import VideoSource

# A clip has at least this many frames, however large they are, so that the work per clip does not outweigh the frames.
MIN_CLIP_FRAMES = 8


class PlanClips:
    """Turns rows of `source` (a VideoSource as JSON) and `done` (finished clip indices, or null) into planned clips."""

    def __init__(self, config: DecodeConfig, reader: str, hosts: Collection[str] = ()) -> None:
        self._config, self._hosts = config, hosts
        self._reader = IsolatedReader(config.timeout_s, reader)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Plan each video of a batch; one that cannot be opened is one row with `error`, or with `run_failed`."""
        for row in batch.to_pylist():
            started = time.perf_counter()
            source = VideoSource.model_validate_json(row["source"])
            done = set(row["done"] or ())
            try:
                # The version is read before the file is fetched: if it is replaced meanwhile, the next job sees that it
                # has changed.
                version = source.version or self._remote_version(source.uri)
                path = fetch_video(source.uri, int(self._config.cache_gb * 1e9), self._hosts)
                info = self._reader.probe(path)
                version = local_version(path) if storage.is_local(source.uri) else version
                planned = plan_clips(source, info, self._config, version)
                clips = _table(planned, done, started)
            except RunFailed as error:
                clips = _table([failed_video(source, None) | {"run_failed": str(error)}], set(), started)
            except Exception as error:  # whatever error a hostile video causes, only this video fails
                # The whole video failed, even if its first clip is done.
                reason = reason_of(error, WrongCamera)
                failed = failed_video(source, reason)
                clips = _table([failed], set(), started)
                log_failure("label", "plan", source.uri, reason, clip_id=failed["clip_id"])
            yield clips

    def _remote_version(self, uri: str) -> str | None:
        return None if storage.is_local(uri) else version_now(uri, self._hosts)


def _table(clips: Sequence[dict[str, Any]], done: Collection[int], started: float) -> pa.Table:
    """The clips that are not done, with each one's share of the time since `started`."""
    share_s = (time.perf_counter() - started) / len(clips)
    missing = [clip | {"plan_s": share_s} for clip in clips if clip["clip_index"] not in done]
    return pa.Table.from_pylist(missing, schema=PLANNED)


def plan_clips(
    source: VideoSource, info: VideoInfo, config: DecodeConfig, version: str | None = None
) -> list[dict[str, Any]]:
    """The clips of a probed video; the same video and settings always give the same clips.

    Args:
        source: The video.
        info: What was found in it.
        config: How it is decoded.
        version: Of its file, see `video_versions.py`.

    Raises:
        WrongCamera: The camera's calibration cannot be that of this video.
    """
    size = clip_frames(info, config)
    intrinsics = source.intrinsics_at(info.width, info.height)
    notes = "; ".join(filter(None, (info.note, source.note_at(info.width, info.height)))) or None
    starts = range(0, info.frame_count, size)
    return [
        _row(source, start, min(start + size, info.frame_count))
        | {
            "clip_index": index,
            "clip_count": len(starts),
            "timestamps_s": info.timestamps_s[start : start + size].tolist(),
            "intrinsics": intrinsics.model_dump() if intrinsics else None,
            "focal_35mm": info.focal_35mm,
            "width": info.width,
            "height": info.height,
            "fps": info.fps,
            "codec": info.codec,
            # Damage that the probe finds, such as a missing end, belongs to no single clip, so the last one carries it.
            "damage": info.damage if index == len(starts) - 1 else None,
            "note": notes if index == 0 else None,
            "version": version,
        }
        for index, start in enumerate(starts)
    ]


def failed_video(source: VideoSource, reason: str | None) -> dict[str, Any]:
    """The one row of a video that cannot be opened."""
    return _row(source, 0, 0) | {"clip_index": 0, "clip_count": 1, "timestamps_s": [], "error": reason}


def clip_frames(info: VideoInfo, config: DecodeConfig) -> int:
    """Number of frames of a clip that has at most `clip_mb` once decoded."""
    width, height = info.size_within(config.max_side)
    return max(MIN_CLIP_FRAMES, int(config.clip_mb * 1e6 / (width * height * 3)))


def _row(source: VideoSource, start: int, stop: int) -> dict[str, Any]:
    return {
        "clip_id": digest([source.uri, start, stop]),
        "video": source.uri,
        "subject": source.subject,
        "action": source.action,
        "camera": source.camera,
        "start_frame": start,
        "stop_frame": stop,
    }
