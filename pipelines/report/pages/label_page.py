"""The page of a label job: speed, people and their scores, failures, and sample frames."""

import base64
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from pipelines.io import storage
from pipelines.report.document import escape, facts, heading, note, table
from pipelines.report.pages.figures import figure, figures_page, long_table, row_chart, side_by_side
from pipelines.report.pages.label_figures import (
    coverage_figure,
    least_covered,
    people_figure,
    score_figures,
    track_figure,
)
from pipelines.report.pages.label_sample import Detections, Tracks, sample_detections, sample_tracks
from pipelines.report.pages.overlays import Overlay, draw_overlays
from schemas.layouts import layout

# A table on the page has at most this many rows; `report.json` has all of them.
_MOST_ROWS = 20
_MOST_REASONS = 15
_PICTURES = 6


def label_page(report: Mapping[str, Any], output: str, videos: Collection[str] | None = None) -> str:
    """A self-contained HTML document.

    Args:
        report: The content of the job's `report.json`.
        output: The job's output folder; its detections and tracks are read, or an even sample if there are many.
        videos: Addresses of the videos that may be shown; None: any. Others may write into the output too.

    Raises:
        OSError: The output cannot be read.
    """
    detections = sample_detections(storage.join(output, "detections"))
    tracks = sample_tracks(storage.join(output, "tracks"))
    parts = [
        heading("Labels", output),
        facts(_facts(report)),
        *_notes(report, detections, tracks),
        *_failures(report),
        "<h2>People</h2>",
        side_by_side(people_figure(detections), *score_figures(detections)),
        "<h2>Videos and tracks</h2>",
        side_by_side(coverage_figure(detections), track_figure(tracks, len(report["too_slow"]))),
        *least_covered(detections),
        "<h2>Samples</h2>",
        _samples(detections, videos),
        "<h2>Throughput</h2>",
        _throughput(report["run"]),
    ]
    return figures_page("Labels", parts)


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    run = report["run"]
    decoders = ", ".join(f"{name} {count:,}" for name, count in sorted(report["decoders"].items()))
    named = {
        "Videos": f"{report['videos']:,}, {report['videos_failed']:,} failed, {len(report['damaged']):,} damaged",
        "Frames": f"{report['frames']:,} in {report['clips']:,} clips",
        "People in frames": f"{report['people_in_frames']:,}",
        "Tracks": f"{report['tracks']:,}",
        "Videos by decoder": decoders or "none",
    }
    if run["frames"]:
        named["This run"] = f"{run['frames']:,} frames in {_duration(run['seconds'])}"
        named["Speed"] = f"{run['frames_per_s']:,.1f} frames/s after {run['startup_s']:.1f} s to start"
    else:
        named["This run"] = f"nothing detected, linked in {_duration(run['seconds'])}"
    named["Peak memory"] = f"{run['peak_memory_mb']:,.0f} MB"
    return named


def _notes(report: Mapping[str, Any], detections: Detections, tracks: Tracks) -> list[str]:
    texts = []
    if detections.files_read < detections.files:
        share = detections.frames / max(1, report["frames"])
        texts.append(
            f"People, scores, coverage and samples are of {detections.files_read:,} of {detections.files:,} detections "
            f"files, {share:.1%} of the frames, evenly chosen."
        )
    if tracks.files_read < tracks.files:
        texts.append(f"Track lengths are of {tracks.files_read:,} of {tracks.files:,} tracks files, evenly chosen.")
    if not detections.people:
        texts.append("Nobody was found.")
    return [note(text) for text in texts]


def _samples(detections: Detections, videos: Collection[str] | None) -> str:
    if detections.layout is None or not detections.moments:
        return "<p>No frame with people was read.</p>"
    moments = [moment for moment in detections.moments.values() if videos is None or moment.video in videos]
    overlays, left_out = draw_overlays(moments, layout(detections.layout), _PICTURES)
    reasons = Counter(left_out.values()).most_common(_MOST_REASONS)
    missing = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
    parts = [note(f"Videos that cannot be shown: {missing}.")] if left_out else []
    if overlays:
        pictures = "".join(map(_picture, overlays))
        parts.append("<p>From the surest to the least sure detections; left limbs are blue, right ones orange.</p>")
        parts.append(f'<div class="pictures">{pictures}</div>')
    return "\n".join(parts)


def _picture(overlay: Overlay) -> str:
    moment, people = overlay.moment, len(overlay.moment.people)
    who = "1 person" if people == 1 else f"{people} people"
    caption = f"{moment.time_s:.2f} s, {who}, mean keypoint score {moment.score:.2f}"
    source = base64.b64encode(overlay.jpeg).decode()
    size = f'width="{overlay.width}" height="{overlay.height}"'
    return (
        f'<figure><img src="data:image/jpeg;base64,{source}" {size} alt="{escape(f"{who} in {moment.video}")}">'
        f"<figcaption>{escape(moment.video)}<span>{escape(caption)}</span></figcaption></figure>"
    )


def _throughput(run: Mapping[str, Any]) -> str:
    if not run["frames"]:
        return "<p>Nothing was detected in this run.</p>"
    total_s = sum(stage["seconds"] for stage in run["stages"].values())
    work = [(name, round(stage["seconds"], 3)) for name, stage in run["stages"].items()]
    label, axis = "Seconds of work by stage", "seconds of work, all workers"
    rows = [
        (name, f"{seconds:,.1f} s", f"{seconds / total_s:.1%}", f"{run['stages'][name]['frames_per_s']:,.0f}")
        for name, seconds in work
    ]
    return side_by_side(
        figure(
            "Where the time went",
            row_chart("stages", work, label=label, axis=axis, hover="%{x:,.1f} s"),
            "Sum over all workers, without waiting.",
        ),
        figure("Stages", table(("stage", "work", "share", "frames/s of one worker"), rows)),
    )


def _failures(report: Mapping[str, Any]) -> list[str]:
    parts = []
    failures = report["failures"]
    if len(failures) > _MOST_ROWS:
        reasons = Counter(failure["reason"] for failure in failures).most_common()
        rows = [(reason, f"{count:,}") for reason, count in reasons]
        parts.append(figure("Reasons", long_table(("reason", "videos"), rows, _MOST_REASONS, "all in report.json")))
    for kind, what, title in (
        ("failures", "reason", "Failed: retried when the same command is run again"),
        ("damaged", "damage", "Damaged: labeled as far as they can be read"),
        ("too_slow", "problem", "Too few frames a second to follow anybody"),
    ):
        rows = [(entry["video"], entry[what]) for entry in report[kind]]
        if rows:
            parts.append(figure(title, long_table(("video", what), rows, _MOST_ROWS, "all in report.json")))
    return ["<h2>Failures</h2>", *map(side_by_side, parts)] if parts else []


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))) if seconds >= 60 else f"{seconds:.1f} s"
