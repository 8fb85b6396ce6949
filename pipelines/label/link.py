"""Links the detections of whole videos into tracks, one file of tracks for each link shard (`link_shards.py`)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.io import storage
from pipelines.io.columns import document_of, text_of
from pipelines.io.shards import digest, shard_metadata
from pipelines.label.link_shards import LinkShard
from pipelines.label.shots import Shots, shots_of
from pipelines.pose.people import People
from pipelines.tracking.tracker import track_people
from pipelines.tracking.tracks import Frame, Timeline, Track
from schemas import LAYOUT_KEY, SETTINGS_KEY, WEIGHTS_KEY
from schemas.cameras import Intrinsics, WrongCamera
from schemas.configs.link import LinkConfig
from schemas.errors import UserError
from schemas.formats.detections import DETECTIONS
from schemas.formats.tracks import FORMAT, TRACKS
from schemas.formats.videos import VideoSource
from schemas.layouts import JointLayout, layout

# The columns of a clip that linking reads.
_CLIP_COLUMNS = (
    *("video", "subject", "action", "camera", "intrinsics", "start_frame", "timestamps_s"),
    *("width", "height", "fps", "decoded", "people", "error", "thumbnails", "focal_35mm"),
)
# Columns that version 0.1.0 did not write, or wrote without the fourth coefficient of lenses.
_ADDED_COLUMNS = ("thumbnails", "focal_35mm", "intrinsics")


def link_videos(shard: LinkShard, config: LinkConfig, assumed_fov_deg: float | None) -> int:
    """Link every video of a shard and write its tracks; returns how many tracks there are.

    Raises:
        RunFailed: The output cannot be written.
        UserError: The calibration of a camera cannot be that of its video.
    """
    clips = _read_clips(shard)
    metadata = clips.schema.metadata
    joints = layout(text_of(metadata, LAYOUT_KEY))
    rows = [
        row
        for video, group in groupby(_in_order(clips), key=lambda clip: clip["video"][0].as_py())
        for row in link_video(group, shard.sources.get(video), joints, config, assumed_fov_deg)
    ]
    settings = document_of(shard.uri, metadata, SETTINGS_KEY)
    metadata = shard_metadata(FORMAT, settings, joints.name) | {WEIGHTS_KEY: metadata[WEIGHTS_KEY]}
    table = pa.Table.from_pylist(rows, schema=TRACKS).replace_schema_metadata(metadata)
    storage.write_table(shard.uri, table)
    return len(rows)


def link_video(
    clips: Iterable[pa.Table],
    source: VideoSource | None,
    joints: JointLayout,
    config: LinkConfig,
    assumed_fov_deg: float | None,
) -> list[dict[str, Any]]:
    """The track rows of one video, made from its clips, each a table of one row, in order of frames."""
    known: dict[str, Any] = {"width": None}
    frames, indices, timestamps_s, pictures = [], list[int](), list[float](), list[bytes | None]()
    for clip in clips:
        row = clip.drop_columns(["people"]).to_pylist()[0]
        if indices and row["start_frame"] <= indices[-1]:
            continue  # the clip was written twice
        if known["width"] is None:  # there was no row so far, or the video could not be opened
            known = row
        people = _people(clip["people"].combine_chunks(), len(joints))
        numbers = range(row["start_frame"], row["start_frame"] + len(people))
        clip_frames = zip(numbers, row["timestamps_s"], people, row["decoded"], strict=True)
        frames += [Frame(number, time_s, people) for number, time_s, people, decoded in clip_frames if decoded]
        indices += numbers
        timestamps_s += row["timestamps_s"]
        pictures += row["thumbnails"] or [None] * len(people)
    timeline = Timeline(np.array(indices, np.int64), np.array(timestamps_s, np.float64))
    shots = shots_of(pictures, timeline.timestamps_s)
    if shots and not config.across_cuts:
        numbers = dict(zip(indices, shots.numbers.tolist(), strict=True))
        frames = [replace(frame, shot=numbers[frame.index]) for frame in frames]
    tracks = track_people(frames, timeline, joints, config) if frames else []
    if source:
        known |= source.model_dump(include={"subject", "action", "camera"})
        known["intrinsics"] = _calibration(source, known)
    intrinsics, provenance = _intrinsics(known, assumed_fov_deg)
    shared = {name: known[name] for name in ("video", "subject", "action", "camera", "width", "height", "fps")}
    shared |= {"layout": joints.name, "intrinsics": intrinsics, "intrinsics_provenance": provenance}
    return [
        shared | _track_row(known["video"], person, track) | _shots_of_track(shots, timeline, track)
        for person, track in enumerate(tracks)
    ]


def _read_clips(shard: LinkShard) -> pa.Table:
    """The clips of a shard's videos; file by file, as each holds clips of other videos too."""
    of_shard = pc.field("video").isin(list(shard.videos))
    clips = (storage.read_table(file, list(_CLIP_COLUMNS)).filter(of_shard) for file in shard.files)
    lacking = pa.schema([DETECTIONS.field(name) for name in _ADDED_COLUMNS]).empty_table()
    return pa.concat_tables([*clips, lacking], promote_options="permissive")


def _in_order(clips: pa.Table) -> Iterator[pa.Table]:
    """Each clip as a table of one row, by video and frame; of two attempts at a clip the successful one comes first.

    The tables are views: a sorted copy, or all rows as Python objects, would take gigabytes.
    """
    order = pa.table(
        {
            "video": clips["video"],
            "start_frame": clips["start_frame"],
            "failed": clips["error"].is_valid(),
            "place": np.arange(len(clips)),
        }
    )
    keys = [(name, "ascending") for name in ("video", "start_frame", "failed")]
    for place in order.sort_by(keys)["place"].to_pylist():
        yield clips.slice(place, 1)


def _people(frames: pa.ListArray, joints: int) -> list[People]:
    """The people of each frame of one clip."""
    by_frame = frames.flatten()
    ends = np.append(0, np.cumsum(by_frame.value_lengths().to_numpy()))
    people = by_frame.flatten()

    def column(name: str, *shape: int) -> np.ndarray:
        values = people.field(name)
        return (values.flatten() if shape else values).to_numpy().reshape(-1, *shape)

    boxes, scores = column("box", 4), column("score").ravel()
    keypoints, keypoint_scores = column("keypoints", joints, 2), column("keypoint_scores", joints)
    parts = (slice(start, stop) for start, stop in pairwise(ends))
    return [People(boxes[part], scores[part], keypoints[part], keypoint_scores[part]) for part in parts]


def _intrinsics(clip: Mapping[str, Any], assumed_fov_deg: float | None) -> tuple[Any, str]:
    if clip["intrinsics"] is not None:
        return clip["intrinsics"], "calibrated"
    if clip["width"] is not None and clip["focal_35mm"] is not None:
        stated = Intrinsics.of_focal_35mm(clip["focal_35mm"], clip["width"], clip["height"])
        return stated.model_dump(), "metadata"
    if assumed_fov_deg is None or clip["width"] is None:
        return None, "none"
    return Intrinsics.of_field_of_view(assumed_fov_deg, clip["width"], clip["height"]).model_dump(), "assumed_fov"


def _calibration(source: VideoSource, clip: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the present inputs say of the camera, for the size of the video; None if it could not be opened."""
    if clip["width"] is None:
        return None
    try:
        intrinsics = source.intrinsics_at(clip["width"], clip["height"])
    except WrongCamera as error:
        raise UserError(f"videos: {source.uri}: {error}") from error
    return intrinsics.model_dump() if intrinsics else None


def _shots_of_track(shots: Shots | None, timeline: Timeline, track: Track) -> dict[str, Any]:
    if shots is None:
        return {"shots": None, "still": None}
    places = np.searchsorted(timeline.indices, track.indices)
    return {"shots": shots.numbers[places], "still": bool(shots.still[places].all())}


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
        "swapped": track.swapped,
    }
