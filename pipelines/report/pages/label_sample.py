"""Counts over detections and tracks for the label page: of a small output completely, of a large one from a sample.

File names end in a hash of their content's ids, so the first files in the order of that hash are an even sample, and
the same one every time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from pipelines.io import storage
from pipelines.io.columns import text_of
from schemas import LAYOUT_KEY

# This many frames take some seconds to read; shares over them are right to a fraction of a per cent.
MOST_FRAMES = 200_000
MOST_FILES = 64
# Bins of the histograms of scores between 0 and 1.
BINS = 20
# Frames with more people than this are counted as having this many.
MOST_PEOPLE = 20
# This many clips of a Parquet file are read at a time, which bounds memory.
_ROWS = 32
_CLIP_COLUMNS = ["video", "start_frame", "timestamps_s", "width", "height", "decoded", "people", "error"]
_TRACK_COLUMNS = ["frames", "fps", "interpolated"]


@dataclass
class Coverage:
    """Counts of the frames of one video.

    Attributes:
        frames: Planned frames.
        decoded: Decoded frames.
        with_people: Frames in which somebody was detected.
    """

    frames: int = 0
    decoded: int = 0
    with_people: int = 0


@dataclass(frozen=True)
class Moment:
    """One frame with people, to be shown as a sample.

    Attributes:
        video: URI of its video.
        frame: Its frame number in the video.
        time_s: Its timestamp, s.
        width: Width of the upright video, px.
        height: Height of the upright video, px.
        people: Its people, as in the detections.
        score: Mean keypoint score of all its people.
    """

    video: str
    frame: int
    time_s: float
    width: int
    height: int
    people: tuple[dict[str, Any], ...]
    score: float


@dataclass
class Detections:
    """Counts over the detections read.

    Attributes:
        files: Number of files in the output.
        files_read: Number of files read.
        layout: Joint layout of the keypoints; None if there are no files.
        people_per_frame: Number of decoded frames with 0, 1, … people.
        box_scores: Number of people by score, in `BINS` bins from 0 to 1.
        keypoint_scores: Number of keypoints by score, in the same bins.
        joint_score_sums: Sum of the scores of each joint.
        videos: Frame counts by video.
        moments: A frame with people for each video that has one.
    """

    files: int = 0
    files_read: int = 0
    layout: str | None = None
    people_per_frame: Int64[np.ndarray, " counts"] = field(default_factory=lambda: np.zeros(MOST_PEOPLE + 1, np.int64))
    box_scores: Int64[np.ndarray, " bins"] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    keypoint_scores: Int64[np.ndarray, " bins"] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    joint_score_sums: Float64[np.ndarray, " joints"] = field(default_factory=lambda: np.zeros(0))
    videos: dict[str, Coverage] = field(default_factory=dict)
    moments: dict[str, Moment] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Number of frames read, decoded or not."""
        return sum(video.frames for video in self.videos.values())

    @property
    def people(self) -> int:
        """Number of people, summed over all frames read."""
        return int(self.box_scores.sum())


@dataclass(frozen=True)
class Tracks:
    """Lengths of the tracks read.

    Attributes:
        files: Number of files in the output.
        files_read: Number of files read.
        lengths_s: Length of each track, s.
        frames: Number of frames, summed over all tracks.
        interpolated: Number of these frames in which the person was not observed.
    """

    files: int
    files_read: int
    lengths_s: Float64[np.ndarray, " tracks"]
    frames: int
    interpolated: int


def sample_detections(folder: str) -> Detections:
    """Count over the detections of an output, or over a sample if there are many.

    Raises:
        OSError: A file cannot be read.
    """
    files = _by_hash(folder)
    detections = Detections(files=len(files))
    for file in files[:MOST_FILES]:
        if detections.frames >= MOST_FRAMES:
            break
        detections.layout = text_of(storage.read_schema(file).metadata, LAYOUT_KEY, "") or detections.layout
        for batch in _batches(file, _CLIP_COLUMNS):
            _count(detections, batch.filter(batch["error"].is_null()))
        detections.files_read += 1
    return detections


def sample_tracks(folder: str) -> Tracks:
    """Read the track lengths of an output, or of a sample of its files if there are many.

    Raises:
        OSError: A file cannot be read.
    """
    files = _by_hash(folder)
    lengths_s, frames, interpolated, read = [np.zeros(0)], 0, 0, 0
    for file in files[:MOST_FILES]:
        if frames >= MOST_FRAMES:
            break
        for batch in _batches(file, _TRACK_COLUMNS):
            counts, fps = (batch[name].to_numpy().astype(np.float64) for name in ("frames", "fps"))
            known = np.isfinite(fps) & (fps > 0)
            lengths_s.append(counts[known] / fps[known])
            frames += int(counts.sum())
            interpolated += int(_booleans(_values(batch["interpolated"])).sum())
        read += 1
    return Tracks(len(files), read, np.concatenate(lengths_s), frames, interpolated)


def _by_hash(folder: str) -> list[str]:
    return sorted(storage.list_folder(folder, ".parquet"), key=lambda file: file.rsplit("-", 1)[-1])


def _batches(file: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with storage.open_table(file) as table:
        for group in range(table.metadata.num_row_groups):
            yield from table.batches(group, _ROWS, columns)


def _count(detections: Detections, clips: pa.RecordBatch) -> None:
    """Add the counts of some clips; in each clip, all lists have one entry per frame."""
    frames = cast(pa.ListArray, _values(clips["people"]))
    people = cast(pa.StructArray, frames.flatten())
    counts, decoded = frames.value_lengths().to_numpy(), _booleans(_values(clips["decoded"]))
    lengths = cast(pa.ListArray, clips["decoded"]).value_lengths().to_numpy()
    detections.people_per_frame += np.bincount(np.minimum(counts[decoded], MOST_PEOPLE), minlength=MOST_PEOPLE + 1)
    detections.box_scores += _histogram(people.field("score").to_numpy())
    scores = _values(people.field("keypoint_scores")).to_numpy()
    detections.keypoint_scores += _histogram(scores)
    if len(people):
        sums = scores.reshape(len(people), -1).sum(axis=0, dtype=np.float64)
        detections.joint_score_sums = sums + (detections.joint_score_sums if len(detections.joint_score_sums) else 0)
    stops = np.cumsum(lengths)
    for row, (video, start, stop) in enumerate(zip(clips["video"].to_pylist(), stops - lengths, stops, strict=True)):
        coverage = detections.videos.setdefault(video, Coverage())
        coverage.frames += int(stop - start)
        coverage.decoded += int(decoded[start:stop].sum())
        coverage.with_people += int((counts[start:stop] > 0).sum())
        if video not in detections.moments and counts[start:stop].any():
            detections.moments[video] = _moment(clips.slice(row, 1), counts[start:stop])


def _moment(clip: pa.Table, counts: Int64[np.ndarray, " frames"]) -> Moment:
    """The middle one of a clip's frames with people."""
    occupied = np.flatnonzero(counts)
    frame = int(occupied[len(occupied) // 2])
    people = clip["people"][0][frame].as_py()
    return Moment(
        video=clip["video"][0].as_py(),
        frame=clip["start_frame"][0].as_py() + frame,
        time_s=clip["timestamps_s"][0][frame].as_py(),
        width=clip["width"][0].as_py(),
        height=clip["height"][0].as_py(),
        people=tuple(people),
        score=float(np.mean([person["keypoint_scores"] for person in people])),
    )


def _histogram(scores: np.ndarray) -> Int64[np.ndarray, " bins"]:
    return np.histogram(scores, BINS, (0.0, 1.0))[0].astype(np.int64)


def _values(lists: pa.Array) -> pa.Array:
    return cast(pa.ListArray, lists).flatten()


def _booleans(values: pa.Array) -> Bool[np.ndarray, " values"]:
    return values.to_numpy(zero_copy_only=False).astype(bool)  # an empty array would have dtype object
