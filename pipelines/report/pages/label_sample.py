"""What detections and tracks hold, in counts that fit a page: all of a small output, an even sample of a large one.

Files are named by hashes of what they hold, so that the first ones by hash are a sample that is drawn without chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float64, Int64

from pipelines.io import storage
from schemas import LAYOUT_KEY

# Some seconds of reading; the shares of a hundred thousand frames are right to a fraction of a per cent.
MOST_FRAMES = 200_000
MOST_FILES = 64
# Of histograms of scores between 0 and 1.
BINS = 20
# More people in a frame than this are counted as this many.
MOST_PEOPLE = 20
# Clips decoded at a time.
_ROWS = 32
_CLIP_COLUMNS = ["video", "start_frame", "timestamps_s", "width", "height", "decoded", "people", "error"]
_TRACK_COLUMNS = ["frames", "fps", "interpolated"]


@dataclass
class Coverage:
    """Frames of one video.

    Attributes:
        frames: Planned.
        decoded: Decoded.
        with_people: In which somebody was found.
    """

    frames: int = 0
    decoded: int = 0
    with_people: int = 0


@dataclass(frozen=True)
class Moment:
    """A frame in which somebody was found.

    Attributes:
        video: URI of its video.
        frame: Its number there.
        time_s: When it is shown, s.
        width: Of the upright video, px.
        height: Of the upright video, px.
        people: As the detections have them.
        score: Mean keypoint score of all people.
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
        files: Files in the output.
        files_read: Of these.
        layout: Joint layout of the keypoints; None without files.
        people_per_frame: Decoded frames with 0, 1, … people.
        box_scores: People by score, in `BINS` bins from 0 to 1.
        keypoint_scores: Keypoints by score.
        joint_score_sums: Sum of the scores of each joint.
        videos: What was read of each video.
        moments: A frame with people of each video that has one.
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
        """Frames read, decoded or not."""
        return sum(video.frames for video in self.videos.values())

    @property
    def people(self) -> int:
        """People over all frames read."""
        return int(self.box_scores.sum())


@dataclass(frozen=True)
class Tracks:
    """Lengths of the tracks read.

    Attributes:
        files: Files in the output.
        files_read: Of these.
        lengths_s: Of each track, s.
        frames: Over all of them.
        interpolated: Frames of these in which the person was not observed.
    """

    files: int
    files_read: int
    lengths_s: Float64[np.ndarray, " tracks"]
    frames: int
    interpolated: int


def sample_detections(folder: str) -> Detections:
    """Read the detections of an output, or so many of them that their shares are known.

    Raises:
        OSError: A file cannot be read.
    """
    files = _by_hash(folder)
    found = Detections(files=len(files))
    for file in files[:MOST_FILES]:
        if found.frames >= MOST_FRAMES:
            break
        name = (storage.read_schema(file).metadata or {}).get(LAYOUT_KEY)
        found.layout = name.decode() if name else found.layout
        for batch in _batches(file, _CLIP_COLUMNS):
            _count(found, batch.filter(batch["error"].is_null()))
        found.files_read += 1
    return found


def sample_tracks(folder: str) -> Tracks:
    """Read the lengths of the tracks of an output, or of so many files of them that they are known well.

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
    fs, path = storage.filesystem(file)
    with fs.open(path, "rb") as opened, pq.ParquetFile(opened) as parquet:
        yield from parquet.iter_batches(_ROWS, columns=columns)


def _count(found: Detections, clips: pa.RecordBatch) -> None:
    """Add clips; all lists of a clip have an entry for each of its frames."""
    frames = cast(pa.ListArray, _values(clips["people"]))
    people = cast(pa.StructArray, frames.flatten())
    counts, decoded = frames.value_lengths().to_numpy(), _booleans(_values(clips["decoded"]))
    lengths = cast(pa.ListArray, clips["decoded"]).value_lengths().to_numpy()
    found.people_per_frame += np.bincount(np.minimum(counts[decoded], MOST_PEOPLE), minlength=MOST_PEOPLE + 1)
    found.box_scores += _histogram(people.field("score").to_numpy())
    scores = _values(people.field("keypoint_scores")).to_numpy()
    found.keypoint_scores += _histogram(scores)
    if len(people):
        sums = scores.reshape(len(people), -1).sum(axis=0, dtype=np.float64)
        found.joint_score_sums = sums + (found.joint_score_sums if len(found.joint_score_sums) else 0)
    stops = np.cumsum(lengths)
    for row, (video, start, stop) in enumerate(zip(clips["video"].to_pylist(), stops - lengths, stops, strict=True)):
        coverage = found.videos.setdefault(video, Coverage())
        coverage.frames += int(stop - start)
        coverage.decoded += int(decoded[start:stop].sum())
        coverage.with_people += int((counts[start:stop] > 0).sum())
        if video not in found.moments and counts[start:stop].any():
            found.moments[video] = _moment(clips.slice(row, 1), counts[start:stop])


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
    return values.to_numpy(zero_copy_only=False).astype(bool)  # as bits they come, an empty array as objects
