"""Judges measured tracks: first each by itself, then copies among them, then those that fit into the budget."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.curate.measuring import measures_uri
from pipelines.curation.coverage import most_diverse
from pipelines.curation.duplicates import Copy, find_copies
from pipelines.curation.pose_rows import COORDINATES, PoseRows
from pipelines.curation.quality import fault
from pipelines.io import storage
from pipelines.tracks.keypoint_reader import TrackInfo, by_file
from schemas.configs.curate import CurateConfig
from schemas.formats.curation import CURATED, MEASURES

KEPT, UNREADABLE, COPY, BUDGET = "kept", "unreadable", "copy", "over budget"


@dataclass
class Judged:
    """Tracks with what is known of them, and the reasons why some are not kept.

    Attributes:
        tracks: A row of the curated format each, without `kept`.
        poses: The poses of those that are good enough, by their number among `tracks`.
        steps_s: Time between two poses of each of those, s.
    """

    tracks: list[dict[str, Any]] = field(default_factory=list)
    poses: dict[int, np.ndarray] = field(default_factory=dict)
    steps_s: dict[int, float] = field(default_factory=dict)

    @property
    def kept(self) -> list[int]:
        """The tracks that there is no reason to leave out."""
        return [number for number, track in enumerate(self.tracks) if track["reason"] is None]

    def pose_rows(self, numbers: Sequence[int]) -> PoseRows:
        """The poses of some tracks."""
        return PoseRows.of([self.poses[number] for number in numbers], [self.steps_s[number] for number in numbers])

    def table(self) -> pa.Table:
        """All tracks, as the curated format has them."""
        return pa.Table.from_pylist([track | {"kept": track["reason"] is None} for track in self.tracks], CURATED)


def judge(tracks: Sequence[TrackInfo], deviations: Mapping[str, float], config: CurateConfig) -> Judged:
    """Find out which tracks to keep.

    Args:
        tracks: All of them measured.
        deviations: Bone-length deviations of lifted tracks, by track id.
        config: The rules.
    """
    judged = Judged()
    for row in _measured(tracks, config.output):
        poses, step_s, error = row.pop("poses"), row.pop("step_s"), row.pop("error")
        row["bone_length_deviation"] = deviations.get(row["track_id"])
        row["duplicate_of"] = None
        row["reason"] = f"{UNREADABLE}: {error}" if error else fault(row, config.quality)
        if row["reason"] is None:
            judged.poses[len(judged.tracks)], judged.steps_s[len(judged.tracks)] = poses, step_s
        judged.tracks.append(row)
    if config.duplicates.find:
        _reject_copies(judged, config)
    if config.budget_frames is not None:
        _keep_within(judged, config.budget_frames)
    return judged


def _measured(tracks: Sequence[TrackInfo], output: str) -> Iterator[dict[str, Any]]:
    for file, of_file in by_file(tracks).items():
        table = storage.read_table(measures_uri(output, file), MEASURES.names)
        place = {row: index for index, row in enumerate(table["row"].to_pylist())}
        chosen = table.take([place[track.row] for track in of_file])
        poses = chosen["poses"].combine_chunks()
        for index, row in enumerate(chosen.drop_columns(["poses"]).to_pylist()):
            flat = poses[index].values
            yield row | {"file": file, "poses": None if flat is None else flat.to_numpy(zero_copy_only=False)}


def samples(judged: Judged, output: str, count: int) -> dict[str, list[tuple[Mapping[str, Any], np.ndarray]]]:
    """Some tracks with their poses, by the word that says what became of them; the first ones are kept.

    Args:
        judged: All tracks.
        output: Where their measures are.
        count: How many of each.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {KEPT: []}
    for track in judged.tracks:
        groups.setdefault(word_of(track), []).append(track)
    chosen_by_word: dict[str, list[tuple[Mapping[str, Any], np.ndarray]]] = {}
    for word, tracks in groups.items():
        picked = tracks[:: max(1, len(tracks) // count)][:count]
        chosen_by_word[word] = [(track, poses) for track in picked if (poses := _poses_of(track, output)) is not None]
    return chosen_by_word


def word_of(track: Mapping[str, Any]) -> str:
    """What became of a track, in a word."""
    return KEPT if track["reason"] is None else track["reason"].partition(":")[0]


def _poses_of(track: Mapping[str, Any], output: str) -> np.ndarray | None:
    """The poses of a track as they were measured; None if there are none."""
    table = storage.read_table(measures_uri(output, track["file"]), ["row", "poses"])
    flat = table["poses"][table["row"].to_pylist().index(track["row"])].values
    return None if flat is None else flat.to_numpy(zero_copy_only=False).reshape(-1, COORDINATES // 2, 2)


def _reject_copies(judged: Judged, config: CurateConfig) -> None:
    good = judged.kept
    tracks = [judged.tracks[number] for number in good]
    order = sorted(range(len(good)), key=lambda i: (-tracks[i]["seconds"], tracks[i]["missing"], tracks[i]["track_id"]))
    for number, copy in find_copies(judged.pose_rows(good), order, config.duplicates).items():
        original = tracks[copy.of]["track_id"]
        tracks[number] |= {"reason": f"{COPY}: {_described(copy)} of {original}", "duplicate_of": original}


def _described(copy: Copy) -> str:
    mirror = "mirrored, " if copy.is_mirrored else ""
    speed = "" if abs(copy.speed - 1) < 0.05 else f"at {1 / copy.speed:.2g} times the length, "
    return f"{mirror}{speed}{copy.distance:.0%} off,"


def _keep_within(judged: Judged, budget_frames: int) -> None:
    good = judged.kept
    frames = [judged.tracks[number]["frames"] for number in good]
    if sum(frames) <= budget_frames:
        return
    chosen = {good[index] for index in most_diverse(judged.pose_rows(good), frames, budget_frames)}
    for number in set(good) - chosen:
        judged.tracks[number]["reason"] = f"{BUDGET}: other tracks show its poses (budget_frames={budget_frames:,})"
