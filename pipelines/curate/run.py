"""The curate job from start to end.

1. `prepare`: tracks are found and checked, addresses resolved.
2. `survey`: which files of tracks are measured already, and whether the choice is made by these rules.
3. `execute`: missing files are measured, all tracks are judged, the choice, the page and the report are written.

The measures do not depend on the rules, so that with other rules in the same output only the judging is repeated.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipelines.curate.judging import KEPT, Judged, judge, samples, word_of
from pipelines.curate.measuring import measure_file, measures_uri
from pipelines.io import json_documents, storage
from pipelines.io.manifest import REPORT
from pipelines.io.shards import FINISHED, digest, shard_metadata
from pipelines.report.pages.curation_page import curation_page
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo, by_file
from pipelines.tracks.lifted_reader import read_lifted
from pipelines.tracks.normalised import LIMBS
from schemas.configs.curate import CurateConfig
from schemas.errors import UserError
from schemas.formats.curation import CURATED_FORMAT
from schemas.job_config import listed
from schemas.layouts import joint_indices, layout
from schemas.progress import Progress

FORMAT = "raylift.curation/1"
PAGE = "curation.html"
# The page shows at most this many tracks of each kind.
_SAMPLES = 6


@dataclass(frozen=True)
class Job:
    """A curation that is known to be possible.

    Attributes:
        config: Its config, with absolute addresses.
        tracks: The tracks to choose from.
        asked: What the choice depends on.
        refused: Files among those of the tracks that hold none, with the reasons.
    """

    config: CurateConfig
    tracks: Sequence[TrackInfo]
    asked: Mapping[str, Any]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """What the output of a job holds and lacks.

    Attributes:
        missing: The files of tracks that are not measured.
        report: Its report, if the choice was made by the same rules among the same tracks.
    """

    missing: Sequence[str]
    report: dict[str, Any] | None


def prepare(config: CurateConfig) -> Job:
    """Find the tracks.

    Raises:
        UserError: There are no tracks, their joints are not those of people, or the rules contradict each other.
    """
    config = config.model_copy(
        update={
            "tracks": tuple(map(storage.absolute, listed(config.tracks))),
            "poses": None if config.poses is None else tuple(map(storage.absolute, listed(config.poses))),
            "output": storage.absolute(config.output),
        }
    )
    if (config.poses is None) != (config.quality.max_bone_length_deviation is None):
        raise UserError(
            "poses, quality.max_bone_length_deviation: bone lengths are judged on lifted tracks; give both or neither"
        )
    refused: dict[str, str] = {}
    tracks = keypoint_reader.survey(config.tracks, refused=refused, field="tracks")
    joint_indices(layout(tracks[0].layout), LIMBS)
    if config.budget_frames is not None and config.budget_frames < min(track.frames for track in tracks):
        raise UserError(
            f"budget_frames={config.budget_frames}: the shortest track has more, and tracks are kept whole; give more"
        )
    rules = config.model_dump(mode="json", exclude={"output"})
    return Job(
        config, tracks, rules | {"data": digest([[track.file, track.row, track.track_id] for track in tracks])}, refused
    )


def survey(job: Job) -> Work:
    """Find out what the output holds."""
    output = job.config.output
    missing = [file for file in by_file(job.tracks) if not storage.exists(measures_uri(output, file))]
    uri = storage.join(output, REPORT)
    report = json_documents.read(uri) if storage.exists(uri) else None
    if report is not None and report.get("format") != FORMAT:
        raise UserError(f"output={output}: holds the {report.get('format')} of another job; give another output")
    is_same = report is not None and report.get("asked") == json_documents.as_read(dict(job.asked))
    return Work(missing, report if is_same and not missing else None)


def execute(job: Job, work: Work, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
    """Measure what is missing and judge all; returns the report, which is also written to `report.json`.

    Raises:
        RunFailed: The output cannot be written.
    """
    output = job.config.output
    if work.missing:
        from pipelines.ray_cluster.files import each_file  # here: it loads Ray, which judging never needs

        files = by_file(job.tracks)
        done, total = 0, sum(len(files[file]) for file in work.missing)
        on_progress(Progress("measure", done, total, "tracks"))
        for tracks in each_file(work.missing, partial(measure_file, output=output)):
            done += tracks
            on_progress(Progress("measure", min(done, total), total, "tracks"))
    judged = judge(job.tracks, _deviations(job.config.poses), job.config)
    file = _write_choice(output, judged)
    report = _report(job, judged, file)
    page = curation_page(report, samples(judged, output, _SAMPLES))
    storage.write_bytes(storage.join(output, PAGE), page.encode())
    json_documents.write(storage.join(output, REPORT), report)
    return report


def _deviations(poses: str | Sequence[str] | None) -> dict[str, float]:
    """The median bone-length deviation of each lifted track, by its id."""
    return {
        track.track_id: float(np.median(track.bone_length_deviation))
        for address in listed(poses)
        for track in read_lifted(address)
        if len(track)
    }


def _write_choice(output: str, judged: Judged) -> str:
    table = judged.table().replace_schema_metadata(shard_metadata(CURATED_FORMAT, {}, LIMBS.name))
    content = digest([[track["file"], track["row"], track["track_id"], track["reason"]] for track in judged.tracks])
    uri = storage.join(output, "tracks", f"{FINISHED}{content}.parquet")
    storage.write_table(uri, table)
    for outdated in set(storage.list_folder(storage.join(output, "tracks"), ".parquet")) - {uri}:
        storage.remove(outdated)
    return uri


def _report(job: Job, judged: Judged, file: str) -> dict[str, Any]:
    tracks: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    for track in judged.tracks:
        tracks[word_of(track)] += 1
        frames[word_of(track)] += track["frames"]
    rejected = [word for word, _ in tracks.most_common() if word != KEPT]
    return {
        "format": FORMAT,
        "output": job.config.output,
        "asked": job.asked,
        "tracks": len(judged.tracks),
        "frames": frames.total(),
        "tracks_kept": tracks[KEPT],
        "frames_kept": frames[KEPT],
        "rejected": {word: {"tracks": tracks[word], "frames": frames[word]} for word in rejected},
        "refused": dict(job.refused),
        "digest": keypoint_reader.digest([file]),
    }
