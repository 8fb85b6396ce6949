"""The lift job from start to end.

1. `prepare`: the lifter is loaded, tracks or videos are found, addresses and settings resolved.
2. `survey`: the output is read; what it lacks is the work.
3. `execute`: videos are labeled if videos were given, missing tracks are lifted, exported and drawn, the report is
   written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipelines.io import storage
from pipelines.io.addresses import named_hosts
from pipelines.label import run as label
from pipelines.lift import ledger, pages, plan, report
from pipelines.lift.chosen_lifter import load_chosen
from pipelines.lift.exports import ExportSettings, VideoTracks, missing_exports, remove_exports
from pipelines.lift.labeling import prepare_labeling
from pipelines.lift.ledger import Ledger, StoredFile
from pipelines.lift.lifting import LoadedLifter
from pipelines.lifters.checkpoint import require_layout
from pipelines.tracks.keypoint_reader import TrackInfo, digest
from schemas.configs.lift import LiftConfig
from schemas.errors import UserError
from schemas.job_config import listed
from schemas.progress import Progress

OnProgress = Callable[[Progress], None]
OnPage = Callable[[pages.Rendered, str], None]
"""Called with a page and its name."""


@dataclass(frozen=True)
class Job:
    """A lift job that is known to be possible.

    Attributes:
        config: Its config.
        output: The output, by an address that holds in any process: workers may start in another folder.
        lifter: Its lifter.
        tracks: The tracks to lift; None if videos are labeled first.
        labeling: The job that labels the videos first; None if tracks were given.
        refused: Files among those of the tracks that hold none, with the reasons.
    """

    config: LiftConfig
    output: str
    lifter: LoadedLifter
    tracks: Sequence[TrackInfo] | None
    labeling: label.Job | None
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def tracks_from(self) -> list[str]:
        """Where the tracks are, or will be."""
        return [self.labeling.tracks] if self.labeling else listed(self.config.tracks)

    @property
    def videos(self) -> tuple[str, ...]:
        """Addresses of the videos that are labeled first."""
        return tuple(source.uri for source in self.labeling.sources) if self.labeling else ()

    @property
    def settings(self) -> dict[str, Any]:
        """What the poses depend on; an output never mixes two of them."""
        lifter = self.lifter
        chosen = (lifter.flip, lifter.refine, lifter.stature_m, lifter.smoothness)
        return ledger.settings_of(lifter.name, lifter.sha256, *chosen)


@dataclass(frozen=True)
class Work:
    """What the output of a job holds, and what it lacks.

    Attributes:
        tracks: All tracks.
        ledger: What the output holds of them.
        outdated: The poses files whose tracks were replaced.
        units: The tracks that are not lifted.
        exports: The videos of which exports are missing.
        shows: The pages that are missing.
        labeled: Whether no video is left to label.
        reported: Whether the last run came to its end.
    """

    tracks: Sequence[TrackInfo]
    ledger: Ledger
    outdated: Sequence[StoredFile]
    units: Sequence[plan.Unit]
    exports: Sequence[VideoTracks]
    shows: Sequence[pages.Show]
    labeled: bool
    reported: bool

    @property
    def nothing_to_do(self) -> bool:
        """Whether the output is complete."""
        return self.labeled and self.reported and not (self.outdated or self.units or self.exports or self.shows)


def prepare(config: LiftConfig) -> Job:
    """Load the lifter, find the tracks or videos, and resolve addresses and settings.

    Raises:
        UserError: The config names both tracks and videos, or neither; something named is missing; layouts differ.
        RunFailed: The model's server cannot be reached.
    """
    if (config.tracks is None) == (config.video is None):
        raise UserError("tracks, video: give one of them: tracks=… (of raylift label or import_poses) or video=…")
    lifter = load_chosen(config)
    output = storage.absolute(config.output)
    if config.tracks is not None:
        refused: dict[str, str] = {}
        tracks = plan.find_tracks(config.tracks, refused, partial(require_layout, lifter.card))
        return Job(config, output, lifter, tracks, None, refused)
    return Job(config, output, lifter, None, prepare_labeling(config, lifter.card))


def survey(job: Job) -> Work:
    """Compare the tracks with what the output holds.

    Raises:
        UserError: The output was begun with another model or other settings, or a track is in two files.
    """
    complete = ledger.read_ledger(job.output, job.settings)
    ExportSettings.of(job.config).require_same(job.output)
    tracks, labeled = job.tracks, True
    if job.labeling:
        labeled = label.survey(job.labeling).nothing_to_do
        linked = storage.list_folder(job.labeling.tracks, ".parquet")
        tracks = []
        if linked:
            read = partial(require_layout, job.lifter.card)
            tracks = plan.find_tracks(job.labeling.tracks, job.refused, read)
    assert tracks is not None
    # What was lifted of a file that has been damaged since stays.
    sources = {plan.name_of(track.file) for track in tracks} | set(map(plan.name_of, job.refused))
    outdated = ledger.outdated(complete, plan.folders_given_whole(job.tracks_from), sources)
    stored = (track for file in complete.files if file not in outdated for track in file.tracks())
    tracks = plan.in_one_file_each(tracks, stored, job.tracks_from, job.refused)
    present = complete.of(sources)
    units = plan.plan_units(tracks, present.done())
    exports = missing_exports(present.tracks(), job.output, job.config.export)
    shows = [show for show in _shows(job, present) if not show.complete]
    reported = storage.exists(storage.join(job.output, report.FILE))
    return Work(tracks, present, outdated, units, exports, shows, labeled, reported)


def execute(job: Job, work: Work, on_progress: OnProgress, on_page: OnPage) -> dict[str, Any]:
    """Do the work; returns the report, which is also written to `report.json`.

    Args:
        job: The job.
        work: What its output lacks.
        on_progress: Called often.
        on_page: Called with each page that is made, and its name.

    Raises:
        RunFailed: The output cannot be written.
        UserError: Workers found a mistake that only they can see.
    """
    tally, labels, interrupted = report.Tally(), None, not work.reported
    storage.remove(storage.join(job.output, report.FILE))
    ExportSettings.of(job.config).write(job.output)
    if job.labeling:
        labels = _label(job.labeling, on_progress)
        work = survey(job)
    tally.begin()
    _lift(job, work, tally, on_progress)
    _remove_outdated(job, work)
    work = survey(job)
    _export(job, work, on_progress)
    result = report.compose(job.output, job.tracks_from, job.lifter, work.tracks, work.ledger, tally)
    result |= {"data": digest({track.file for track in work.tracks}), "labels": labels, "videos_failed": 0}
    unreadable: set[str] = set()
    if labels:
        result["videos_failed"] = labels["videos_failed"]
        unreadable = {failure["video"] for failure in labels["failures"]}
    result["files_failed"] = len(job.refused)
    result["failures"] += [{"track_id": "", "video": file, "reason": why} for file, why in job.refused.items()]
    result["notes"] += _notes_of_empty_videos(job, work, unreadable)
    # An interrupted run may have lifted tracks that pages do not show yet.
    changed = set(work.ledger.videos()) if interrupted else tally.videos
    result["pages"] = _render(job, work, changed, on_progress, on_page, result["notes"])
    report.write(job.output, result)
    return result


def _label(labeling: label.Job, on_progress: OnProgress) -> dict[str, Any] | None:
    """Label the videos that are not labeled yet; returns the label job's report, None if there were none."""
    work = label.survey(labeling)
    return None if work.nothing_to_do else label.execute(labeling, work, on_progress)


def _lift(job: Job, work: Work, tally: report.Tally, on_progress: OnProgress) -> None:
    config = job.config
    storage.remove_leftovers(job.output)
    # The tracks that failed are tried again now.
    ledger.remove(file for file in work.ledger.files if file.failed)
    if not work.units:
        return
    from pipelines.lift import pipeline  # here: it loads Ray, which a job with nothing to do never needs

    done, total = 0, sum(unit.frames for unit in work.units)
    on_progress(Progress("lift", done, total, "frames"))
    for row in pipeline.run_lifting(work.units, job.lifter, job.output, job.settings, config.workers):
        tally.add(row)
        done += row["frames"]
        on_progress(Progress("lift", done, total, "frames"))


def _remove_outdated(job: Job, work: Work) -> None:
    """Remove the poses whose tracks were replaced, and what was made only from them."""
    if work.outdated:
        removed = [track for file in work.outdated for track in file.tracks()]
        ledger.remove(work.outdated)
        remove_exports(removed, ledger.read_ledger(job.output, job.settings).tracks(), job.output)


def _export(job: Job, work: Work, on_progress: OnProgress) -> None:
    if not work.exports:
        return
    from pipelines.lift import pipeline  # here: it loads Ray, which a job with nothing to do never needs

    settings = ExportSettings.of(job.config)
    total = sum(len(rows) for tracks in work.exports for rows in tracks.values())
    for done, _ in enumerate(pipeline.run_exports(work.exports, job.output, settings), start=1):
        on_progress(Progress("export", done, total, "tracks"))


def _render(
    job: Job, work: Work, changed: set[str], on_progress: OnProgress, on_page: OnPage, notes: list[str]
) -> list[str]:
    """Make the pages that are missing or show what has changed; returns all that there are."""
    shows = _shows(job, work.ledger)
    todo = [show for show in shows if not show.complete or show.video in changed]
    done, total = 0, sum(show.frames for show in todo)

    def on_frame() -> None:
        nonlocal done
        done += 1
        on_progress(Progress("render", min(done, total), total, "frames"))

    for show in todo:
        try:
            rendered = pages.render(show, work.tracks, job.config.world == "levelled", on_frame, job.config.stature_m)
        except UserError as error:
            notes.append(f"no page: {error}")
        else:
            on_page(rendered, show.files[0].rpartition("/")[2].removesuffix(".html"))
    if len(shows) < job.config.pages:
        notes.append(f"{len(shows)} pages, not {job.config.pages}: there are no more tracks whose video can be read")
    return [file for show in shows for file in show.files if storage.exists(file)]


def _shows(job: Job, present: Ledger) -> list[pages.Show]:
    hosts, count, shows = named_hosts(job.config.video or (), job.config.network.allow_private), job.config.pages, []
    if job.labeling:
        shows += pages.shows_of_videos(job.output, job.videos, present.tracks(), hosts)
    if count:
        shows += pages.shows_of_tracks(job.output, count, present.tracks(), job.tracks_from, hosts)
    return shows


def _notes_of_empty_videos(job: Job, work: Work, unreadable: set[str]) -> list[str]:
    """A note for each input without anything to lift; unreadable videos are reported elsewhere."""
    if job.labeling is None:
        return [] if work.tracks else [f"{', '.join(job.tracks_from)}: holds no track, so there is nothing to lift"]
    with_tracks = {track.video for track in work.ledger.tracks()}
    failed = unreadable | {failure["video"] for failure in work.ledger.failures()}
    empty = [video for video in job.videos if video not in with_tracks | failed]
    return [f"{video}: {reason}, so there are no poses and no page" for video, reason in _why_empty(job, empty)]


def _why_empty(job: Job, videos: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The videos without tracks, each with the reason."""
    if not videos or job.labeling is None:
        return
    detected, link = label.survey(job.labeling).ledger, job.config.link
    detections = detected.videos["detections"].to_pylist()
    for video, place in zip(videos, detected.places(videos).tolist(), strict=True):
        count = detections[place] if place >= 0 else 0
        yield (
            video,
            f"people were found {count} times in its frames, but nobody often and long enough to be tracked "
            f"(link.min_observations={link.min_observations}, link.min_track_s={link.min_track_s:g})"
            if count
            else "nobody was found in it",
        )
