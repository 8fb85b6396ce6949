"""The align job from start to end.

1. `prepare`: recordings are found, the reference performance is read, its times are checked.
2. `execute`: every recording is put in step with it, then the pairs of times, the pages and the report are written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.align.events import deviations, phases, transferred
from pipelines.align.features import Features, features_of, read_corpus
from pipelines.align.moments import similar_moments
from pipelines.align.paths import Match, distances, monotone, nearest
from pipelines.align.recordings import Recordings, find_recordings
from pipelines.aligners.sequences import Sequence as Person
from pipelines.io import json_documents, storage
from pipelines.io.file_names import file_name
from pipelines.io.shards import shard_metadata
from pipelines.report.pages.alignment_page import alignment_page
from pipelines.tracks.normalised import LIMBS
from schemas.configs.align import AlignConfig
from schemas.errors import UserError
from schemas.formats.alignment import ALIGNMENT, FORMAT
from schemas.progress import Progress

REPORT_FORMAT, REPORT, PAIRS = "raylift.align/1", "report.json", "alignment.parquet"
# Shortest reference, s: a shorter one resembles most moments of any recording.
_SHORTEST_S = 0.4
# Exchanged sides must bring a recording nearer by this factor to be believed.
_MIRROR_GAIN = 0.8
# Repetitions that are looked for in a recording at most.
_MOST_REPETITIONS = 1000


@dataclass(frozen=True)
class Job:
    """An alignment that is known to be possible.

    Attributes:
        config: Its config, with absolute addresses.
        recordings: All recordings.
        whole: The track of the reference.
        reference: The part of it that is the reference performance.
        features: What frames are compared by.
        events: The frames of its events, by their names.
        others: Ids of the recordings to put in step.
    """

    config: AlignConfig
    recordings: Recordings
    whole: Person
    reference: Person
    features: Features
    events: Mapping[str, int]
    others: Sequence[str]

    @property
    def unit(self) -> str:
        """Unit of the deviations: lengths are known of lifted people alone."""
        return "cm" if self.reference.trunk_m else "trunk sizes"


def prepare(config: AlignConfig) -> Job:
    """Find the recordings and read the reference.

    Raises:
        UserError: No such tracks; the reference is too short or cannot be compared; times outside of it; or nothing to
            put in step with it.
    """
    if config.corpus is not None and (config.aligner is None or config.moment_s is None):
        raise UserError(f"corpus={config.corpus}: moments are looked for in it; give moment_s=… and aligner=… too")
    recordings = find_recordings(config)
    name = recordings.find("reference", config.reference)
    ((_, whole),) = recordings.read([name])
    if isinstance(whole, str):
        raise UserError(f"reference={config.reference}: {whole}")
    for field in ("start_s", "stop_s", "moment_s"):
        _require_within(field, getattr(config, field), whole)
    reference = whole.part(config.start_s, config.stop_s)
    if reference.stop_s - reference.start_s < _SHORTEST_S:
        raise UserError(
            f"start_s, stop_s: {max(0.0, reference.stop_s - reference.start_s):.2f} s of the reference remain, which "
            f"look like most moments; give at least {_SHORTEST_S:g} s"
        )
    events = {}
    for text in config.events:
        event, _, time_s = text.rpartition("=")
        _require_within(f"events: {event}", float(time_s), reference)
        events[event] = reference.frame(float(time_s))
    chosen = config.others if config.others is not None else recordings.ids
    others = list(dict.fromkeys(recordings.find("others", other) for other in chosen))
    if not config.repetitions:
        others = [other for other in others if other != name]
    if not others and config.moment_s is None:
        raise UserError(
            f"reference={config.reference}: is the only recording; give a second one, or repetitions=true for its own"
        )
    features = features_of(config.aligner, reference)
    if config.corpus is not None:
        next(read_corpus(config.corpus, features), None)  # it checks that the embeddings fit
    return Job(config, recordings, whole, reference, features, events, others)


def _require_within(field: str, time_s: float | None, person: Person) -> None:
    if time_s is not None and not person.start_s - 0.05 <= time_s <= person.stop_s + 0.05:
        raise UserError(f"{field}={time_s:g}: the reference is from {person.start_s:.2f} to {person.stop_s:.2f} s")


def execute(job: Job, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Put the recordings in step; returns the report, which is also written to `report.json`.

    Raises:
        RunFailed: The output cannot be written.
    """
    output, entries, rows = storage.absolute(job.config.output), [], []
    for number, (name, person) in enumerate(job.recordings.read(set(job.others)), start=1):
        entry, pairs = _in_step(job, name, person)
        entries.append(entry)
        rows += pairs
        on_progress(Progress("align", number, len(job.others), "recordings"))
    entries.sort(key=lambda entry: (entry["error"] is not None, entry["distance"]))
    metadata = shard_metadata(FORMAT, {}, LIMBS.name)
    storage.write_table(
        storage.join(output, PAIRS), pa.Table.from_pylist(rows, ALIGNMENT).replace_schema_metadata(metadata)
    )
    _write_pages(job, output, entries)
    report = {
        "format": REPORT_FORMAT,
        "output": output,
        "reference": {
            "track_id": job.reference.track_id,
            "start_s": job.reference.start_s,
            "stop_s": job.reference.stop_s,
        },
        "unit": job.unit,
        "recordings": entries,
        "moments": _moments(job),
    }
    json_documents.write(storage.join(output, REPORT), report)
    return report


def _in_step(job: Job, name: str, person: Person | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What is reported of a recording, and its pairs of times."""
    empty = {"track_id": name, "video": "", "mirrored": False, "distance": 0.0, "repetitions": [], "deviations": {}}
    if isinstance(person, str):
        return empty | {"error": person}, []
    shown, costs, matches, is_mirrored = best_matches(job.reference, person, job.config, job.features)
    if not matches:
        reason = f"nothing in it is in step with the reference: it lasts {person.stop_s - person.start_s:.2f} s"
        return empty | {"video": person.video, "error": reason}, []
    parts = phases(job.events, len(job.reference))
    apart = np.mean([deviations(job.reference.poses, shown.poses, match, parts) for match in matches], axis=0)
    unit = 100 * job.reference.trunk_m if job.reference.trunk_m else 1.0
    entry = empty | {
        "video": person.video,
        "mirrored": is_mirrored,
        "distance": min(match.distance for match in matches),
        "repetitions": [_repetition(job, person, match, costs) for match in matches],
        "deviations": {
            part: dict(zip(LIMBS.joints, (unit * row).round(3).tolist(), strict=True))
            for (part, _, _), row in zip(parts, apart, strict=True)
        },
        "error": None,
    }
    times = [job.reference.time_s(frame) for frame in range(len(job.reference))]
    pairs = [
        {"track_id": name, "video": person.video, "reference": job.reference.track_id, "repetition": number}
        | {"mirrored": is_mirrored, "distance": match.distance, "reference_s": times}
        | {"recording_s": [person.time_s(frame) for frame in match.frames]}
        for number, match in enumerate(matches)
    ]
    return entry, pairs


def best_matches(
    reference: Person, person: Person, config: AlignConfig, features: Features
) -> tuple[Person, np.ndarray, list[Match], bool]:
    """A recording as it is or mirrored, whichever is nearer; its distances, its stretches in step, and which it is."""
    found = []
    for shown in (person, person.mirrored()):
        costs = distances(features(reference), features(shown))
        if config.path == "nearest":
            matches = [nearest(costs)]
        elif config.repetitions:
            matches = monotone(costs, _MOST_REPETITIONS, config.max_distance)
        else:
            matches = monotone(costs)
        found.append((shown, costs, matches))
    plain, mirrored = (min((match.distance for match in matches), default=np.inf) for _, _, matches in found)
    is_mirrored = bool(mirrored < _MIRROR_GAIN * plain)
    return (*found[is_mirrored], is_mirrored)


def _repetition(job: Job, person: Person, match: Match, costs: np.ndarray) -> dict[str, Any]:
    events = {}
    for name, at in job.events.items():
        frame, confidence = transferred(match, costs, at)
        events[name] = {"time_s": round(person.time_s(frame), 3), "confidence": round(confidence, 3)}
    return {
        "start_s": round(person.time_s(float(match.frames.min())), 3),
        "stop_s": round(person.time_s(float(match.frames.max())), 3),
        "distance": round(match.distance, 4),
        "events": events,
    }


def _moments(job: Job) -> list[dict[str, Any]]:
    config = job.config
    if config.moment_s is None:
        return []
    if config.corpus is not None:
        others = read_corpus(config.corpus, job.features)
    else:
        people = (person for _, person in job.recordings.read(set(job.recordings.ids)))
        others = (job.features.of(person) for person in people if not isinstance(person, str))
    frame = job.whole.frame(config.moment_s)
    return [asdict(moment) for moment in similar_moments(job.features.of(job.whole), frame, others, config.moments)]


def _write_pages(job: Job, output: str, entries: Sequence[dict[str, Any]]) -> None:
    for file in storage.list_folder(output, ".html"):
        storage.remove(file)
    shown = {entry["track_id"]: entry for entry in entries[: job.config.pages] if entry["error"] is None}
    for name, person in job.recordings.read(set(shown)):
        assert not isinstance(person, str)
        seen, _, matches, _ = best_matches(job.reference, person, job.config, job.features)
        match = min(matches, key=lambda one: one.distance)
        page = alignment_page(_drawn(job.reference), _drawn(seen, match), job.events, shown[name], job.unit)
        shown[name]["page"] = f"{file_name(name)}.html"
        storage.write_bytes(storage.join(output, shown[name]["page"]), page.encode())


def _drawn(person: Person, match: Match | None = None) -> dict[str, Any]:
    """What a page draws: the limbs in the picture, or from the front, and when each frame is shown."""
    frames = np.arange(len(person)) if match is None else match.frames
    poses = person.poses[frames.round().astype(int).clip(0, len(person) - 1)][..., :2]
    times = [round(person.time_s(frame), 3) for frame in frames.tolist()]
    return {"name": person.video, "poses": poses.round(3).tolist(), "times": times}
