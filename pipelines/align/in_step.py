"""Puts the recordings of a file in step with the reference performance, and keeps the result in a file of its own.

So an interrupted job, or one to which recordings were added, only works on recordings that have no result yet.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.align.events import deviations, phases, transferred
from pipelines.align.features import Features
from pipelines.align.paths import Match, distances, monotone, nearest
from pipelines.align.recordings import Recordings
from pipelines.aligners.sequences import Sequence as Person
from pipelines.io import storage
from pipelines.io.shards import FINISHED, digest, shard_metadata
from pipelines.tracks import keypoint_reader
from pipelines.tracks.normalised import LIMBS
from schemas.configs.align import AlignConfig
from schemas.errors import UserError
from schemas.formats.alignment import ALIGNMENT

FOLDER = "in_step"
_FORMAT = "raylift.in_step/1"
# Each row is a recording: its entry of the report, as JSON, and its rows of `ALIGNMENT`.
_ROWS = pa.schema([pa.field("entry", pa.string()), pa.field("pairs", pa.list_(pa.struct(list(ALIGNMENT))))])
# These fields choose the recordings, the output and the contents of the report. The result for a single recording does
# not depend on them, so they are not part of the name of its file.
_BESIDE = {
    "output",
    "pages",
    "tracks",
    "poses",
    "others",
    "aligner",
    "trust",
    "reference",
    "moment_s",
    "moments",
    "corpus",
}
# A recording counts as mirrored only if mirroring multiplies its distance by less than this.
_MIRROR_GAIN = 0.8
# At most this many repetitions are looked for in a recording.
_MOST_REPETITIONS = 1000


@dataclass(frozen=True)
class Reference:
    """The reference performance.

    Attributes:
        person: It.
        features: What frames are compared by.
        events: The frames of its events, by their names.
        config: How recordings are put in step with it.
        source: Identifies the file that it is read from.
    """

    person: Person
    features: Features
    events: Mapping[str, int]
    config: AlignConfig
    source: str

    @property
    def asked(self) -> dict[str, Any]:
        """Everything that the result for a recording depends on, except the recording itself."""
        fields = self.config.model_dump(mode="json", exclude=_BESIDE)
        return fields | {"of": [self.person.track_id, self.source], "aligner": self.features.sha256}


def part_uri(output: str, reference: Reference, file: str, names: Collection[str]) -> str:
    """Where the result of some recordings of a file is kept; it depends on the reference and on the file too."""
    content = [_FORMAT, reference.asked, file, keypoint_reader.digest([file]), sorted(names)]
    return storage.join(output, FOLDER, f"{FINISHED}{digest(content)}.parquet")


def put_in_step(reference: Reference, recordings: Recordings, names: Collection[str], uri: str) -> None:
    """Put recordings of a file in step and write the result.

    Raises:
        RunFailed: The result cannot be written.
    """
    rows = []
    for name, person in recordings.read(names):
        entry, pairs = _in_step(reference, name, person)
        rows.append({"entry": json.dumps(entry), "pairs": pairs})
    metadata = shard_metadata(_FORMAT, {}, LIMBS.name)
    storage.write_table(uri, pa.Table.from_pylist(rows, _ROWS.with_metadata(metadata)))


def read_part(uri: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The entry of each recording, and its rows of `ALIGNMENT`."""
    for row in storage.read_table(uri).to_pylist():
        yield json.loads(row["entry"]), row["pairs"]


def _in_step(reference: Reference, name: str, person: Person | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A recording's entry in the report, and its pairs of times."""
    empty = {"track_id": name, "video": "", "mirrored": False, "distance": 0.0, "repetitions": [], "deviations": {}}
    if isinstance(person, str):
        return empty | {"error": person}, []
    empty["video"] = person.video
    try:
        shown, costs, matches, is_mirrored = best_matches(
            reference.person, person, reference.config, reference.features
        )
    except UserError as error:  # the recording is too short for the aligner
        return empty | {"error": str(error)}, []
    if not matches:
        reason = f"nothing in it is in step with the reference: it lasts {person.stop_s - person.start_s:.2f} s"
        return empty | {"error": reason}, []
    one, events = reference.person, reference.events
    parts = phases(events, len(one))
    apart = np.mean([deviations(one.poses, shown.poses, match, parts) for match in matches], axis=0)
    unit = 100 * one.trunk_m if one.trunk_m else 1.0
    entry = empty | {
        "mirrored": is_mirrored,
        "distance": min(match.distance for match in matches),
        "repetitions": [_repetition(events, person, match, costs) for match in matches],
        "deviations": {
            part: dict(zip(LIMBS.joints, (unit * row).round(3).tolist(), strict=True))
            for (part, _, _), row in zip(parts, apart, strict=True)
        },
        "error": None,
    }
    times = [one.time_s(frame) for frame in range(len(one))]
    pairs = [
        {"track_id": name, "video": person.video, "reference": one.track_id, "repetition": number}
        | {"mirrored": is_mirrored, "distance": match.distance, "reference_s": times}
        | {"recording_s": [person.time_s(frame) for frame in match.frames]}
        for number, match in enumerate(matches)
    ]
    return entry, pairs


def best_matches(
    reference: Person, person: Person, config: AlignConfig, features: Features
) -> tuple[Person, np.ndarray, list[Match], bool]:
    """The recording or its mirror image, whichever is nearer; its distances, its stretches in step, whether mirrored.

    Raises:
        UserError: The recording is too short for the aligner.
    """
    variants = []
    for shown in (person, person.mirrored()):
        costs = distances(features(reference), features(shown))
        if config.path == "nearest":
            matches = [nearest(costs)]
        elif config.repetitions:
            matches = monotone(costs, _MOST_REPETITIONS, config.max_distance)
        else:
            matches = monotone(costs)
        variants.append((shown, costs, matches))
    plain, mirrored = (min((match.distance for match in matches), default=np.inf) for _, _, matches in variants)
    is_mirrored = bool(mirrored < _MIRROR_GAIN * plain)
    return (*variants[is_mirrored], is_mirrored)


def _repetition(events: Mapping[str, int], person: Person, match: Match, costs: np.ndarray) -> dict[str, Any]:
    transferred_events = {}
    for name, at in events.items():
        frame, confidence = transferred(match, costs, at)
        transferred_events[name] = {"time_s": round(person.time_s(frame), 3), "confidence": round(confidence, 3)}
    return {
        "start_s": round(person.time_s(float(match.frames.min())), 3),
        "stop_s": round(person.time_s(float(match.frames.max())), 3),
        "distance": round(match.distance, 4),
        "events": transferred_events,
    }
