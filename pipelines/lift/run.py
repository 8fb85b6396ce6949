"""Lifting from start to end: survey the output, label videos if that is asked for, lift what is missing, report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.io import storage
from pipelines.label import run as label
from pipelines.lift import labeling, ledger, pages, pipeline, plan, report
from pipelines.lift.exports import missing_exports, remove_exports
from pipelines.lift.labeling import Labeling
from pipelines.lift.ledger import HeldFile, Ledger
from pipelines.lift.lifting import Lifter
from pipelines.lifters.checkpoint import LifterCard, load_lifter, require_layout
from pipelines.mlflow_runs import model_uris
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from schemas.configs.lift import LiftConfig
from schemas.errors import UserError


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        stage: "label", "link", "lift", "export" or "render".
        done: Of the total.
        total: In the stage's unit.
        unit: "videos", "files", "frames" or "tracks".
    """

    stage: str
    done: float
    total: float
    unit: str


OnProgress = Callable[[Progress], None]
OnPage = Callable[[str, str], None]
"""Called with a page and its name."""


@dataclass(frozen=True)
class Job:
    """What a job was told, seen to be possible.

    Attributes:
        config: Its config.
        lifter: Its lifter.
        given: The tracks given; None if videos were.
        labeling: The videos that are labeled first; None if tracks were given.
    """

    config: LiftConfig
    lifter: Lifter
    given: Sequence[TrackInfo] | None
    labeling: Labeling | None

    @property
    def output(self) -> str:
        """The output by an address that holds in any process."""
        return storage.absolute(self.config.output)

    @property
    def tracks_from(self) -> tuple[str, ...]:
        """Where the tracks are, or will be."""
        if self.labeling:
            return (self.labeling.tracks,)
        given = self.config.tracks
        return (given,) if isinstance(given, str) else given or ()

    @property
    def settings(self) -> dict[str, Any]:
        """What the poses depend on."""
        return ledger.settings_of(self.lifter.name, self.lifter.sha256, self.lifter.flip)


@dataclass(frozen=True)
class Work:
    """What there is, and what of it is to be done.

    Attributes:
        tracks: All tracks.
        held: What the output holds of them.
        outdated: The poses files whose tracks were replaced.
        units: The tracks that are not lifted.
        exports: Rows of poses files whose exports are missing.
        shows: The pages that are missing.
        labeled: Whether no video is left to label.
        reported: Whether the last run got to its end.
    """

    tracks: Sequence[TrackInfo]
    held: Ledger
    outdated: Sequence[HeldFile]
    units: Sequence[plan.Unit]
    exports: dict[str, list[int]]
    shows: Sequence[pages.Show]
    labeled: bool
    reported: bool

    @property
    def nothing(self) -> bool:
        """Whether all is done already."""
        return self.labeled and self.reported and not (self.outdated or self.units or self.exports or self.shows)


def prepare(config: LiftConfig) -> Job:
    """Fetch the lifter and look at the inputs, before anything is written.

    Raises:
        UserError: Tracks and videos, or neither; no such model, tracks or videos; another layout than the lifter's.
        RunFailed: The model's server cannot be reached.
    """
    if (config.tracks is None) == (config.video is None):
        raise UserError("tracks, video: give one of them: tracks=… (of jobs.label or jobs.import_poses) or video=…")
    fetched = model_uris.fetch(config.model)
    model, card = load_lifter(fetched.file)
    lifter = Lifter(model, card, fetched.name, fetched.sha256, config.flip)
    if config.tracks is not None:
        return Job(config, lifter, _find_tracks(config.tracks, card), None)
    return Job(config, lifter, None, labeling.plan_labeling(config, card))


def survey(job: Job) -> Work:
    """Compare what is asked for with what the output holds.

    Raises:
        UserError: The output was made with another model or other settings, or a track is in two files.
    """
    output = job.output
    whole = ledger.read_ledger(output, job.settings)
    tracks, labeled = job.given, True
    if job.labeling:
        labeled = label.survey(job.labeling.config, job.labeling.sources).nothing
        there = storage.list_folder(job.labeling.tracks, ".parquet")
        tracks = _find_tracks(job.labeling.tracks, job.lifter.card) if there else []
    assert tracks is not None
    sources = {plan.name_of(track.file) for track in tracks}
    outdated = ledger.outdated(whole, plan.folders_given_whole(job.tracks_from), sources)
    plan.require_one_file_each(
        tracks, (track for file in whole.files if file not in outdated for track in file.tracks())
    )
    held = whole.of(sources)
    units = plan.plan_units(tracks, held.done())
    exports = missing_exports(held.tracks(), output, job.config.export)
    shows = [show for show in _shows(job, held) if not show.there]
    reported = storage.exists(storage.join(output, report.FILE))
    return Work(tracks, held, outdated, units, exports, shows, labeled, reported)


def execute(job: Job, work: Work, on_progress: OnProgress, on_page: OnPage) -> dict[str, Any]:
    """Do the work; returns the report, which is also written to `report.json`.

    Args:
        job: The job.
        work: Its survey.
        on_progress: Called often.
        on_page: Called with each page that is made.

    Raises:
        RunFailed: The output cannot be written.
        UserError: A worker found a mistake of the user's.
    """
    tally, labels, interrupted = report.Tally(), None, not work.reported
    storage.remove(storage.join(job.output, report.FILE))
    if job.labeling:
        labels = labeling.label_videos(job.labeling, lambda at: on_progress(_of_labeling(at)))
        work = survey(job)
    tally.begin()
    _lift(job, work, tally, on_progress)
    _tidy(job, work)
    work = survey(job)
    _export(job, work, on_progress)
    told = report.compose(job.output, job.tracks_from, job.lifter, work.tracks, work.held, tally)
    told |= {
        "data": keypoint_reader.digest({track.file for track in work.tracks}),
        "labels": labels,
        "videos_failed": 0,
    }
    unreadable: set[str] = set()
    if labels:
        told["videos_failed"] = labels["videos_failed"]
        unreadable = {failure["video"] for failure in labels["failures"]}
    told["notes"] += _of_nobody(job, work, unreadable)
    # A run that was interrupted may have lifted what pages do not show yet.
    changed = set(work.held.videos()) if interrupted else tally.videos
    told["pages"] = _render(job, work, changed, on_progress, on_page, told["notes"])
    report.write(job.output, told)
    return told


def _find_tracks(uri: str | Sequence[str], card: LifterCard) -> list[TrackInfo]:
    tracks = plan.find_tracks(uri)
    if tracks:
        require_layout(card, tracks[0].layout)
    return tracks


def _lift(job: Job, work: Work, tally: report.Tally, on_progress: OnProgress) -> None:
    config = job.config
    storage.remove_leftovers(job.output)
    # Their tracks are about to be tried again.
    ledger.remove(file for file in work.held.files if file.failed)
    if not work.units:
        return
    done, total = 0, sum(unit.frames for unit in work.units)
    on_progress(Progress("lift", done, total, "frames"))
    for row in pipeline.run_lifting(work.units, job.lifter, job.output, job.settings, config.export, config.workers):
        tally.add(row)
        done += row["frames"]
        on_progress(Progress("lift", done, total, "frames"))


def _tidy(job: Job, work: Work) -> None:
    """Remove the poses whose tracks were replaced, and what was made of them alone."""
    if work.outdated:
        gone = [track for file in work.outdated for track in file.tracks()]
        ledger.remove(work.outdated)
        remove_exports(gone, ledger.read_ledger(job.output, job.settings).tracks(), job.output)


def _export(job: Job, work: Work, on_progress: OnProgress) -> None:
    total = sum(map(len, work.exports.values()))
    rows = pipeline.run_exports(work.exports, job.output, job.config.export) if total else ()
    for done, _ in enumerate(rows, start=1):
        on_progress(Progress("export", done, total, "tracks"))


def _render(
    job: Job, work: Work, changed: set[str], on_progress: OnProgress, on_page: OnPage, notes: list[str]
) -> list[str]:
    """Make the pages that are missing or show what has changed; returns all that there are."""
    shows = _shows(job, work.held)
    todo = [show for show in shows if not show.there or show.video in changed]
    done, total = 0, sum(show.frames for show in todo)

    def on_frame() -> None:
        nonlocal done
        done += 1
        on_progress(Progress("render", min(done, total), total, "frames"))

    for show in todo:
        try:
            page = pages.render(show, work.tracks, on_frame)
        except UserError as error:
            notes.append(f"no page: {error}")
        else:
            on_page(page, show.files[0].rpartition("/")[2])
    if len(shows) < job.config.pages:
        notes.append(f"{len(shows)} pages, not {job.config.pages}: there are no more tracks whose video can be read")
    return [file for show in shows for file in show.files if storage.exists(file)]


def _shows(job: Job, held: Ledger) -> list[pages.Show]:
    output, config = job.output, job.config
    shows = pages.shows_of_videos(output, job.labeling.videos, held.tracks()) if job.labeling else []
    return shows + (pages.shows_of_tracks(output, config.pages, held.tracks()) if config.pages else [])


def _of_labeling(at: label.Progress) -> Progress:
    return Progress(at.stage, at.done, at.total, "videos" if at.stage == "label" else "files")


def _of_nobody(job: Job, work: Work, unreadable: set[str]) -> list[str]:
    """Where there was nothing to lift, said; unreadable videos are told of elsewhere."""
    if job.labeling is None:
        return [] if work.tracks else [f"{', '.join(job.tracks_from)}: holds no track, so there is nothing to lift"]
    somebody = {track.video for track in work.held.tracks()}
    failed = unreadable | {failure["video"] for failure in work.held.failures()}
    return [
        f"{video}: nobody is tracked in it, so there are no poses and no page"
        for video in job.labeling.videos
        if video not in somebody | failed
    ]
