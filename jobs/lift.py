"""Lift tracks, or a video straight from its pixels, to 3D poses.

raylift lift video=clip.mp4 output=out/clip
raylift lift model=models:/lifter@champion tracks=out/tracks output=out/poses
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("lift"))

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from jobs.command_line.progress import pace, stage_bars
from jobs.command_line.terminal import Terminal, files_in
from pipelines.io import storage
from pipelines.lift import run
from pipelines.lift.pages import Rendered
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet, VideoSet
from schemas.configs.lift import LiftConfig
from schemas.frame_window import frames_read

# The summary shows at most this many lines of a kind; the report has all of them.
MAX_LINES = 8
# These entries of the report are not measurements.
NO_METRICS = {"model", "labels", "stature_m", "smoothness"}


def main(config: LiftConfig) -> int:
    """Lift what the output lacks; returns 1 if more than `max_failed` tracks and videos failed."""
    job = run.prepare(config)  # before anything is written
    with storage.sole_writer(config.output):
        work = run.survey(job)
        if work.nothing_to_do:
            Terminal().print(f"lift: nothing to do: all {len(work.tracks)} tracks are lifted in {config.output}")
            for file, reason in job.refused.items():
                Terminal().print(f"{'failure':<13}{file}: {reason}")
            return _exit_code(config, len(job.refused))
        with runs.record("lift", config) as record, stage_bars() as on_progress:
            record.log_read(TrackSet("lifting", job.tracks_from, job.tracks or ()))
            if job.labeling:
                record.log_read(VideoSet("lifting", config.video, job.labeling.sources))
            report = run.execute(job, work, on_progress, partial(log_page, record))
            record.log_used(report["model"]["sha256"])
            record.log_metrics({name: value for name, value in report.items() if name not in NO_METRICS})
            record.log_tags(
                {
                    "raylift.model": report["model"]["name"],
                    "raylift.model_sha256": report["model"]["sha256"],
                    "raylift.data": report["data"],
                    "raylift.digest": report["digest"],
                }
            )
            record.log_json(report, "report.json")
    show(report)
    return _exit_code(config, report["tracks_failed"] + report["videos_failed"] + report["files_failed"])


def _exit_code(config: LiftConfig, failed: int) -> int:
    return int(config.max_failed is not None and failed > config.max_failed)


def log_page(record: runs.Run, rendered: Rendered, name: str) -> None:
    """Keep a page in MLflow, and its picture, which MLflow shows without a download."""
    record.log_page(rendered.page, f"pages/{name}.html")
    if rendered.picture is not None:
        record.log_bytes(rendered.picture, f"{name}.png", "pages")


def show(report: Mapping[str, Any]) -> None:
    """The summary, one screen."""
    card, this = report["model"]["card"], report["run"]
    mirrored = ", averaged with the mirror image's" if report["flip"] else ""
    rows = [
        ("model", report["model"]["name"]),
        (
            "lifter",
            f"{card['lifter']} of {frames_read(card)} frames at {card['fps']:g} frames/s, {card['input_layout']} "
            f"→ {card['output_layout']}{mirrored}",
        ),
        (
            "tracks",
            f"{report['tracks']:,}, {report['tracks_failed']:,} failed, {report['tracks_padded']:,} shorter than "
            f"what the lifter reads, {report['tracks_resampled']:,} resampled",
        ),
        ("frames", f"{report['frames']:,} lifted"),
        *quality_rows(report["quality"]),
        ("this run", pace(this, "to start lifting")),
        *(("page", page) for page in report["pages"][:MAX_LINES]),
        ("output", files_in(report["output"], "*.parquet", "report.json")),
    ]
    console = Terminal()
    for name, value in rows:
        console.print(f"{name:<13}{value}")
    failures = [f"{failure['video']}: {failure['reason']}" for failure in report["failures"]]
    labels = report["labels"] or {"failures": [], "too_slow": []}
    failures += [f"{failure['video']}: {failure['reason']}" for failure in labels["failures"]]
    notes = [f"{entry['video']}: {entry['problem']}" for entry in labels["too_slow"]] + report["notes"]
    for name, lines in (("failure", failures), ("note", notes)):
        for line in lines[:MAX_LINES]:
            console.print(f"{name:<13}{line}")
        if len(lines) > MAX_LINES:
            console.print(f"… and {len(lines) - MAX_LINES} more, all in report.json")


def quality_rows(quality: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str]]:
    """Rows of the summary with the measures of quality that need no labels."""
    named = {
        "reprojection_px.perspective": ("reprojection", "{:.1f} px", "by camera and trajectory"),
        "reprojection_px.orthographic": ("reprojection", "{:.1f} px", "up to scale and shift of each frame"),
        "bone_length_deviation": ("bone lengths", "{:.1%}", "off their median"),
        "keypoint_score": ("2D scores", "{:.2f}", "of keypoints, mean of a frame"),
    }
    for name, (label, form, meaning) in named.items():
        if values := quality.get(name):
            middle, (bad, value) = values["median"], list(values.items())[-1]
            share = "1 frame in 20 below" if bad == "p5" else "1 frame in 20 above"
            yield label, f"median {form.format(middle)}, {share} {form.format(value)} ({meaning})"
