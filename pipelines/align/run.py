"""The align job from start to end.

1. `prepare`: recordings are found, the reference performance is read, its times are checked.
2. `survey`: which files of recordings are put in step already, and whether the output is complete.
3. `execute`: the others are put in step, then the pairs of times, the pages and the report are written.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.align.features import Compared, Features, corpus_files, features_of, read_corpus
from pipelines.align.in_step import FOLDER, Reference, best_matches, part_uri, put_in_step, read_part
from pipelines.align.moments import similar_moments
from pipelines.align.paths import Match
from pipelines.align.period import one_repetition
from pipelines.align.recordings import Recordings, find_recordings
from pipelines.aligners.sequences import Sequence as Person
from pipelines.io import json_documents, storage
from pipelines.io.file_names import file_name
from pipelines.io.shards import shard_metadata
from pipelines.report.pages.alignment_page import alignment_page
from pipelines.tracks import keypoint_reader
from pipelines.tracks.normalised import LIMBS
from schemas.configs.align import AlignConfig
from schemas.errors import UserError
from schemas.formats.alignment import ALIGNMENT, FORMAT
from schemas.progress import Progress

REPORT_FORMAT, REPORT, PAIRS = "raylift.align/1", "report.json", "alignment.parquet"
# The shortest reference, s: a shorter one resembles most moments of any recording.
_SHORTEST_S = 0.4


@dataclass(frozen=True)
class Job:
    """An alignment that is known to be possible.

    Attributes:
        config: Its config, with absolute addresses.
        recordings: All recordings.
        whole: The track of the reference.
        reference: The part of it that is the reference performance.
        others: Ids of the recordings to put in step, by their files.
        asked: What the output depends on.
    """

    config: AlignConfig
    recordings: Recordings
    whole: Person
    reference: Reference
    others: Mapping[str, Sequence[str]]
    asked: Mapping[str, Any]

    @property
    def features(self) -> Features:
        """What frames are compared by."""
        return self.reference.features

    @property
    def unit(self) -> str:
        """Unit of the deviations: real lengths are known only of lifted people."""
        return "cm" if self.reference.person.trunk_m else "trunk sizes"

    @property
    def parts(self) -> dict[str, str]:
        """Where the result of each file of recordings is kept."""
        output = storage.absolute(self.config.output)
        return {file: part_uri(output, self.reference, file, names) for file, names in self.others.items()}


@dataclass(frozen=True)
class Work:
    """What the output of a job holds and lacks.

    Attributes:
        missing: The files of recordings that are not put in step.
        report: Its report, if it is that of this very job.
    """

    missing: Sequence[str]
    report: dict[str, Any] | None


def prepare(config: AlignConfig) -> Job:
    """Find the recordings and read the reference.

    Raises:
        UserError: No such tracks; the reference is too short or cannot be compared; times outside of it; or nothing to
            put in step with it.
        RunFailed: MLflow's server, which has the aligner, cannot be reached.
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
    times = [text.rpartition("=") for text in config.events]
    for event, _, time_s in times:
        _require_within(f"events: {event}", float(time_s), whole)
    if config.repetitions and config.start_s is None and config.stop_s is None:
        part = one_repetition(whole, tuple(float(time_s) for _, _, time_s in times))
    else:
        part = whole.part(config.start_s, config.stop_s)
    if part.stop_s - part.start_s < _SHORTEST_S:
        raise UserError(
            f"start_s, stop_s: {max(0.0, part.stop_s - part.start_s):.2f} s of the reference remain, which "
            f"look like most moments; give at least {_SHORTEST_S:g} s"
        )
    events = {}
    for event, _, time_s in times:
        _require_within(f"events: {event}", float(time_s), part)
        events[event] = part.frame(float(time_s))
    chosen = config.others if config.others is not None else recordings.ids
    others = {recordings.find("others", other) for other in chosen}
    if not config.repetitions:
        others -= {name}
    if not others and config.moment_s is None:
        raise UserError(
            f"reference={config.reference}: is the only recording; give a second one, or repetitions=true for its own"
        )
    features = features_of(config.aligner, part, config.trust)
    if config.corpus is not None:
        next(read_corpus(config.corpus, features), None)  # it checks that the embeddings fit
    reference = Reference(part, features, events, config, keypoint_reader.digest(recordings.files_of([name])))
    files = recordings.files_of(others)
    searched = [] if config.moment_s is None else corpus_files(config.corpus) if config.corpus else recordings.files
    asked = reference.asked | {
        **{field: getattr(config, field) for field in ("moment_s", "moments", "pages")},
        "others": sorted(others),
        "data": keypoint_reader.digest([*files, *searched]),
    }
    return Job(config, recordings, whole, reference, files, asked)


def _require_within(field: str, time_s: float | None, person: Person) -> None:
    if time_s is not None and not person.start_s - 0.05 <= time_s <= person.stop_s + 0.05:
        raise UserError(f"{field}={time_s:g}: the reference is from {person.start_s:.2f} to {person.stop_s:.2f} s")


def survey(job: Job) -> Work:
    """Find out what the output holds.

    Raises:
        UserError: The output holds the result of another job.
    """
    output = job.config.output
    missing = [file for file, uri in job.parts.items() if not storage.exists(uri)]
    uri = storage.join(output, REPORT)
    report = json_documents.read(uri) if storage.exists(uri) else None
    if report is not None and report.get("format") != REPORT_FORMAT:
        raise UserError(f"output={output}: holds the {report.get('format')} of another job; give another output")
    is_same = report is not None and report.get("asked") == json_documents.as_read(dict(job.asked))
    return Work(missing, report if is_same and not missing else None)


def execute(job: Job, work: Work, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Put the missing recordings in step; returns the report, which is also written to `report.json`.

    Raises:
        RunFailed: The output cannot be written.
    """
    output, entries, rows = storage.absolute(job.config.output), [], []
    total = sum(map(len, job.others.values()))
    done = total - sum(len(job.others[file]) for file in work.missing)
    for file in work.missing:
        on_progress(Progress("align", done, total, "recordings"))
        put_in_step(job.reference, job.recordings, job.others[file], job.parts[file])
        done += len(job.others[file])
    on_progress(Progress("align", done, total, "recordings"))
    for uri in job.parts.values():
        for entry, pairs in read_part(uri):
            entries.append(entry)
            rows += pairs
    for outdated in set(storage.list_folder(storage.join(output, FOLDER), ".parquet")) - set(job.parts.values()):
        storage.remove(outdated)
    entries.sort(key=lambda entry: (entry["error"] is not None, entry["distance"]))
    metadata = shard_metadata(FORMAT, {}, LIMBS.name)
    storage.write_table(
        storage.join(output, PAIRS), pa.Table.from_pylist(rows, ALIGNMENT).replace_schema_metadata(metadata)
    )
    _write_pages(job, output, entries)
    person = job.reference.person
    report = {
        "format": REPORT_FORMAT,
        "output": output,
        "asked": job.asked,
        "reference": {"track_id": person.track_id, "start_s": person.start_s, "stop_s": person.stop_s},
        "unit": job.unit,
        "recordings": entries,
        "moments": _moments(job),
    }
    json_documents.write(storage.join(output, REPORT), report)
    return report


def _moments(job: Job) -> list[dict[str, Any]]:
    config = job.config
    if config.moment_s is None:
        return []
    others = _features(job) if config.corpus is None else read_corpus(config.corpus, job.features)
    frame = job.whole.frame(config.moment_s)
    return [asdict(moment) for moment in similar_moments(job.features.of(job.whole), frame, others, config.moments)]


def _features(job: Job) -> Iterator[Compared]:
    """The features of all recordings that can be compared."""
    for _, person in job.recordings.read(set(job.recordings.ids)):
        if not isinstance(person, str):
            with suppress(UserError):  # the recording is too short for the aligner
                yield job.features.of(person)


def _write_pages(job: Job, output: str, entries: Sequence[dict[str, Any]]) -> None:
    for file in storage.list_folder(output, ".html"):
        storage.remove(file)
    shown = {entry["track_id"]: entry for entry in entries[: job.config.pages] if entry["error"] is None}
    reference = job.reference
    for name, person in job.recordings.read(set(shown)):
        assert not isinstance(person, str)
        shown_person, _, matches, _ = best_matches(reference.person, person, job.config, job.features)
        match = min(matches, key=lambda candidate: candidate.distance)
        page = alignment_page(
            _drawn(reference.person), _drawn(shown_person, match), reference.events, shown[name], job.unit
        )
        shown[name]["page"] = f"{file_name(name)}.html"
        storage.write_bytes(storage.join(output, shown[name]["page"]), page.encode())


def _drawn(person: Person, match: Match | None = None) -> dict[str, Any]:
    """The data that a page draws: the limbs in the picture, or from the front, and the time of each frame."""
    frames = np.arange(len(person)) if match is None else match.frames
    poses = person.poses[frames.round().astype(int).clip(0, len(person) - 1)][..., :2]
    times = [round(person.time_s(frame), 3) for frame in frames.tolist()]
    return {"name": person.video, "poses": poses.round(3).tolist(), "times": times}
