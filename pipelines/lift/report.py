"""What a lift job did, in numbers: `report.json`, the terminal summary and the MLflow run all come from here."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.io import json_documents, storage
from pipelines.io.shards import digest
from pipelines.lift.ledger import Ledger
from pipelines.lift.lifting import LoadedLifter, frames_at_rate
from pipelines.lift.with_feet import lifted_layout
from pipelines.pose.rays import ASSUMED_FOV_DEG
from pipelines.tracks.keypoint_reader import TrackInfo
from schemas import __version__

FORMAT = "raylift.lift/1"
FILE = "report.json"
# Measures of quality are counted in bins of 1 % width, so that any number of frames takes the same memory.
_BIN_RATIO = 1.01
_SMALLEST, _LARGEST = 1e-5, 1e6
_EDGES = _SMALLEST * _BIN_RATIO ** np.arange(math.ceil(math.log(_LARGEST / _SMALLEST, _BIN_RATIO)) + 1)
# A track counts as resampled if its frame rate differs by more than this share.
_RATE_TOLERANCE = 0.01
# The histograms of this many files are in memory at a time.
_FILES = 256


@dataclass
class Tally:
    """Running sums over the tracks that this run lifted."""

    tracks: int = 0
    frames: int = 0
    started_at: float = field(default_factory=time.time)
    lifting_from: float = field(default_factory=time.time)
    first_began_at: float = math.inf
    last_ended_at: float = 0.0
    videos: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Note the time at which lifting begins, after labeling."""
        self.lifting_from = time.time()

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one track that is on disk."""
        self.tracks += row["error"] is None
        self.frames += row["frames"] if row["error"] is None else 0
        self.first_began_at = min(self.first_began_at, row["began_at"])
        self.last_ended_at = time.time()
        self.videos.add(row["video"])

    def summary(self) -> dict[str, float]:
        """The part "run" of the report."""
        # Start-up is the time before the first unit, in which processes start and load the lifter.
        began_at = min(self.first_began_at, self.last_ended_at)
        lifting_s = self.last_ended_at - began_at
        return {
            "tracks": self.tracks,
            "frames": self.frames,
            "seconds": time.time() - self.started_at,
            "startup_s": began_at - self.lifting_from if self.frames else 0.0,
            "frames_per_s": self.frames / lifting_s if self.frames and lifting_s > 0 else 0.0,
        }


class Histogram:
    """Counts of values in bins that are 1 % wide."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_EDGES) + 1, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Count values that are not negative."""
        self._counts += np.bincount(np.searchsorted(_EDGES, values, side="right"), minlength=len(self._counts))

    def add_all(self, other: "Histogram") -> None:
        """Add the counts of another histogram."""
        self._counts += other._counts

    def quantile(self, share: float) -> float | None:
        """The value below which this share of all values lies; None if there are none."""
        if not self._counts.any():
            return None
        cumulated = np.cumsum(self._counts)
        place = int(np.searchsorted(cumulated, share * (cumulated[-1] - 1), side="right"))
        return 0.0 if place == 0 else float(_EDGES[place - 1] * math.sqrt(_BIN_RATIO))


def compose(
    output: str, uri: Sequence[str], lifter: LoadedLifter, tracks: Sequence[TrackInfo], ledger: Ledger, tally: Tally
) -> dict[str, Any]:
    """The report.

    Args:
        output: Folder of the poses.
        uri: Addresses of the tracks.
        lifter: The lifter.
        tracks: All tracks.
        ledger: What the output holds of them.
        tally: What this run did.
    """
    failures, card = ledger.failures(), lifter.card
    files = [file for file in ledger.files if not file.failed]
    lifted = sum(len(file.table) for file in files)
    unseen = unseen_joints([file.uri for file in files])
    frames_seen = [frames_at_rate(track, card.fps) for track in tracks]
    return {
        "format": FORMAT,
        "version": __version__,
        "output": output,
        "tracks_from": list(uri),
        "model": {"name": lifter.name, "sha256": lifter.sha256, "card": card.model_dump(mode="json")},
        "flip": lifter.flip,
        "refine": lifter.refine,
        "stature_m": lifter.stature_m,
        "smoothness": lifter.smoothness if lifter.refine else None,
        "tracks": len(tracks),
        "tracks_lifted": lifted,
        "tracks_failed": len(failures),
        "frames": sum(int(file.table["frames"].to_numpy().sum()) for file in files),
        "tracks_padded": sum(card.window.repeats_ends_of(frames) for frames in frames_seen),
        "tracks_resampled": sum(
            abs(frames - track.frames) > _RATE_TOLERANCE * track.frames
            for track, frames in zip(tracks, frames_seen, strict=True)
        ),
        "trajectory": card.trajectory,
        "quality": quality([file.uri for file in files]),
        "unseen_joints": unseen,
        "failures": failures,
        "run": tally.summary(),
        "notes": notes(lifter, tracks, frames_seen) + _note_of_unseen_joints(unseen, lifted),
        "digest": digest([file.uri.rsplit("/", 1)[1] for file in files]),
    }


def write(output: str, report: Mapping[str, Any]) -> None:
    """Write `report.json`.

    Raises:
        RunFailed: The report cannot be written.
    """
    json_documents.write(storage.join(output, FILE), report)


def _size(stature_m: float | None) -> str:
    if stature_m is None:
        return "as large as the lifter takes them to be (stature_m=… if you know)"
    return f"{stature_m:g} m tall when they stand (stature_m)"


def notes(lifter: LoadedLifter, tracks: Sequence[TrackInfo], frames_seen: Sequence[float]) -> list[str]:
    """Facts to know before using the poses, one line for each."""
    card, count = lifter.card, len(tracks)
    padded = sum(card.window.repeats_ends_of(frames) for frames in frames_seen)
    assumed = sum(track.intrinsics_provenance == "assumed_fov" for track in tracks)
    stated = sum(track.intrinsics_provenance == "metadata" for track in tracks)
    without = sum(track.intrinsics_provenance == "none" for track in tracks)
    person_centred = card.input == "person_centred"
    candidates = [
        (
            person_centred and tracks,
            f"people are {_size(lifter.stature_m)}, and stand where their joints fit their keypoints",
        ),
        (
            person_centred and without,
            f"{without} of {count} tracks have no intrinsics: a field of view of {ASSUMED_FOV_DEG:g}° along the longer "
            "side is assumed; poses hardly depend on it, how far away people are does",
        ),
        (
            any(lifted_layout(card, track.layout) != card.output_layout for track in tracks),
            "feet follow from where they are seen; angles of ankles are rough (on a real recording no better than a "
            "constant), so look at when they change, not at their size",
        ),
        (
            stated,
            f"{stated} of {count} tracks have the focal length that their file's metadata state; a stabilised film "
            "sees less than its lens, so people may be some percent farther away",
        ),
        (
            not card.trajectory and not person_centred,
            "the lifter predicts no trajectory: poses are relative to the root, where people are is not known "
            "(jobs.train trajectory=true)",
        ),
        (
            padded,
            f"{padded} of {count} tracks are shorter than the {card.window.inputs} frames that the lifter reads: "
            "their first and last frames are repeated",
        ),
        (
            card.trajectory and without and not person_centred,
            f"{without} of {count} tracks have no intrinsics: their trajectory is a guess, and reprojection is "
            "measured up to scale and shift",
        ),
        (
            (card.trajectory or person_centred) and assumed,
            f"{assumed} of {count} tracks have an assumed field of view (assumed_fov_deg): poses hardly depend on it, "
            "how far away people are does",
        ),
    ]
    return [note for applies, note in candidates if applies]


def unseen_joints(files: Sequence[str]) -> dict[str, int]:
    """The joints that some tracks never show, each with the number of these tracks."""
    with ThreadPoolExecutor(16) as pool:  # the threads wait for storage, or decode
        return dict(sum(pool.map(_unseen_joints_of, files), Counter()))


def _unseen_joints_of(uri: str) -> Counter[str]:
    # Files of version 0.1.0 lack this column.
    if "unseen_joints" not in storage.read_schema(uri).names:
        return Counter()
    return Counter(_flat(storage.read_table(uri, ["unseen_joints"])["unseen_joints"]).tolist())


def _note_of_unseen_joints(unseen: Mapping[str, int], tracks: int) -> list[str]:
    if not unseen:
        return []
    named = ", ".join(f"{joint.replace('_', ' ')} ({count})" for joint, count in unseen.items())
    return [f"joints that were not seen, their places are guesses (in how many of {tracks} tracks): {named}"]


def quality(files: Sequence[str]) -> dict[str, dict[str, float]]:
    """Quantiles over the observed frames of all tracks; those of the reprojection for each way of measuring it."""
    histograms: dict[str, Histogram] = {}
    with ThreadPoolExecutor(16) as pool:  # the threads wait for storage, or decode
        for start in range(0, len(files), _FILES):
            for counted in pool.map(_quality_of, files[start : start + _FILES]):
                for name, histogram in counted.items():
                    histograms.setdefault(name, Histogram()).add_all(histogram)
    return {name: _quantiles(name, histogram) for name, histogram in sorted(histograms.items())}


def _quality_of(uri: str) -> dict[str, Histogram]:
    histograms: dict[str, Histogram] = {}
    measures = ("reprojection_px", "bone_length_deviation", "keypoint_score")
    table = storage.read_table(uri, ["reprojection", "interpolated", *measures])
    for kind in table["reprojection"].unique().to_pylist():
        rows = table.filter(pc.field("reprojection") == kind)
        observed = ~_flat(rows["interpolated"])
        for name in measures:
            if name != "reprojection_px" or kind != "none":
                named = f"{name}.{kind}" if name == "reprojection_px" else name
                histograms.setdefault(named, Histogram()).add(_flat(rows[name])[observed])
    return histograms


def _quantiles(name: str, histogram: Histogram) -> dict[str, float]:
    """The median and the quantile at the bad end, which is the low one for scores."""
    bad, share = ("p5", 0.05) if name == "keypoint_score" else ("p95", 0.95)
    values = {"median": histogram.quantile(0.5), bad: histogram.quantile(share)}
    return {name: value for name, value in values.items() if value is not None}


def _flat(lists: pa.ChunkedArray) -> np.ndarray:
    return lists.combine_chunks().flatten().to_numpy(zero_copy_only=False)
