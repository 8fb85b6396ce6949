"""link: the detections of whole videos become tracks, by bucket of videos, one file a bucket.

A bucket's file is named by the hash of all that went into it; linking again does only what changed.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.detectors.base import People
from pipelines.label.ledger import Ledger, digest
from pipelines.label.tracker import track_people
from pipelines.label.tracks import Frame, Timeline, Track
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, VERSION_KEY, WEIGHTS_KEY, __version__
from schemas.layouts import JointLayout, layout
from schemas.link import LinkConfig
from schemas.tracks import FORMAT, TRACKS
from schemas.videos import VideoSource

# Videos a bucket holds on average: few enough to link in a breath, many enough for files worth opening.
VIDEOS_PER_BUCKET = 64


@dataclass(frozen=True)
class Bucket:
    """The videos whose tracks share a file.

    Attributes:
        uri: The file to write.
        files: The detections files that hold the videos' clips.
        sources: What the present inputs say of the videos, by URI; the rows' own words serve for the others.
    """

    uri: str
    files: tuple[str, ...]
    videos: tuple[str, ...]
    sources: Mapping[str, VideoSource]


def plan_buckets(
    folder: str, ledger: Ledger, sources: Sequence[VideoSource], options: Mapping[str, Any]
) -> list[Bucket]:
    """The buckets that all videos of an output fall into, with the file names that their present content asks for.

    Args:
        folder: Where tracks lie.
        ledger: The videos and clips that are finished.
        sources: The present inputs.
        options: All other options that tracks depend on.
    """
    count = 1 << max(0, math.ceil(math.log2(max(1, len(ledger.videos)) / VIDEOS_PER_BUCKET)))
    said = {source.uri: source for source in sources}
    members: dict[int, list[str]] = {}
    for video in sorted(ledger.videos):
        members.setdefault(_bucket_number(video, count), []).append(video)
    buckets = []
    for number, videos in sorted(members.items()):
        here = {video: said[video] for video in videos if video in said}
        content = [
            [
                video,
                sorted(ledger.videos[video].clips.values()),
                here[video].model_dump() if video in here else None,
            ]
            for video in videos
        ]
        name = f"bucket-{number:05d}-of-{count:05d}-{digest([FORMAT, dict(options), content])}.parquet"
        files = sorted({file for video in videos for file in ledger.videos[video].files})
        buckets.append(Bucket(storage.join(folder, name), tuple(files), tuple(videos), here))
    return buckets


def link_bucket(bucket: Bucket, config: LinkConfig, assumed_fov_deg: float | None) -> int:
    """Link every video of a bucket and write its tracks; returns how many.

    Raises:
        RunFailed: The output cannot be written.
    """
    tables = [storage.read_table(file, list(_CLIP_COLUMNS)) for file in bucket.files]
    metadata = tables[0].schema.metadata
    clips = pa.concat_tables(t.filter(pc.field("video").isin(list(bucket.videos))) for t in tables)
    clips = clips.sort_by([("video", "ascending"), ("start_frame", "ascending")])
    joints = layout(metadata[LAYOUT_KEY].decode())
    rows = [
        row
        for video, group in groupby(_rows(clips), key=lambda row: row["video"])
        for row in link_video(list(group), bucket.sources.get(video), joints, config, assumed_fov_deg)
    ]
    kept = {key: metadata[key] for key in (LAYOUT_KEY, WEIGHTS_KEY, SETTINGS_KEY)}
    kept |= {FORMAT_KEY: FORMAT.encode(), VERSION_KEY: __version__.encode()}
    table = pa.Table.from_pylist(rows, schema=TRACKS).replace_schema_metadata(kept)
    storage.write_table(bucket.uri, table)
    return len(rows)


def link_video(
    clips: Sequence[Mapping[str, Any]],
    source: VideoSource | None,
    joints: JointLayout,
    config: LinkConfig,
    assumed_fov_deg: float | None,
) -> list[dict[str, Any]]:
    """The track rows of one video from its clip rows, in order of frames."""
    first = {**clips[0], **(source.model_dump(exclude={"uri"}) if source else {})}
    frames, indices, timestamps_s = [], [], []
    for clip in clips:
        for offset, (time_s, decoded) in enumerate(zip(clip["timestamps_s"], clip["decoded"], strict=True)):
            indices.append(clip["start_frame"] + offset)
            timestamps_s.append(time_s)
            if decoded:
                frames.append(Frame(indices[-1], time_s, _people(clip["people"][offset], len(joints))))
    timeline = Timeline(np.array(indices, np.int64), np.array(timestamps_s, np.float64))
    tracks = track_people(frames, timeline, joints, config) if frames else []
    intrinsics, provenance = _intrinsics(first, assumed_fov_deg)
    shared = {name: first[name] for name in ("video", "subject", "action", "camera", "width", "height", "fps")}
    shared |= {"layout": joints.name, "intrinsics": intrinsics, "intrinsics_provenance": provenance}
    return [shared | _track_row(first["video"], person, track) for person, track in enumerate(tracks)]


def remove_outdated(folder: str, buckets: Sequence[Bucket]) -> None:
    """Remove the tracks files that the present buckets have replaced."""
    current = {bucket.uri for bucket in buckets}
    for file in storage.list_folder(folder, ".parquet"):
        if file not in current and file.rsplit("/", 1)[1].startswith("bucket-"):
            storage.remove(file)


_CLIP_COLUMNS = (
    *("video", "subject", "action", "camera", "intrinsics", "start_frame", "timestamps_s"),
    *("width", "height", "fps", "decoded", "people"),
)


def _bucket_number(video: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(video.encode()).digest()[:8]) % count


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    # Row by row: a bucket of long videos as Python objects all at once would be gigabytes.
    for number in range(len(table)):
        yield table.slice(number, 1).to_pylist()[0]


def _people(people: Sequence[Mapping[str, Any]], joints: int) -> People:
    if not people:
        return People.nobody(joints)
    return People(
        np.array([person["box"] for person in people], np.float32),
        np.array([person["score"] for person in people], np.float32),
        np.array([person["keypoints"] for person in people], np.float32).reshape(-1, joints, 2),
        np.array([person["keypoint_scores"] for person in people], np.float32),
    )


def _intrinsics(clip: Mapping[str, Any], assumed_fov_deg: float | None) -> tuple[Any, str]:
    if clip["intrinsics"] is not None:
        return clip["intrinsics"], "calibrated"
    if assumed_fov_deg is None or clip["width"] is None:
        return None, "none"
    focal = clip["width"] / 2 / math.tan(math.radians(assumed_fov_deg) / 2)
    centre = {"cx": clip["width"] / 2, "cy": clip["height"] / 2}
    distortion = dict.fromkeys(("k1", "k2", "k3", "p1", "p2"), 0.0)
    return {"fx": focal, "fy": focal, **centre, **distortion, "distortion": "none"}, "assumed_fov"


def _track_row(video: str, person: int, track: Track) -> dict[str, Any]:
    return {
        "track_id": digest([video, person, int(track.indices[0])]),
        "person": person,
        "start_frame": int(track.indices[0]),
        "frames": len(track.indices),
        "timestamps_s": track.timestamps_s,
        "boxes": track.boxes.ravel(),
        "box_scores": track.box_scores,
        "keypoints": track.keypoints.ravel(),
        "scores": track.keypoint_scores.ravel(),
        "interpolated": track.interpolated,
    }
