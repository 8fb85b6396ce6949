"""Evaluate a lifter on tracks: the protocol's table if they are labeled, else reprojection error and bone lengths.

raylift evaluate model=out/lifter/best.pt data=out/mocap/tracks subjects=[S9,S11]
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("evaluate"))

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from rich.columns import Columns

from jobs.command_line.pages import keep_figures, keep_page
from jobs.command_line.progress import stage_bars
from jobs.command_line.terminal import Terminal
from pipelines.evaluate import records, run
from pipelines.evaluate.records import action_rows
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.mlflow_runs.logged_models import ModelFile
from pipelines.report.pages.evaluation_page import evaluation_page
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.configs.evaluate import EvaluateConfig
from schemas.frame_window import frames_read
from schemas.progress import Progress

COLUMNS = {
    "P1": ("mpjpe_mm", ".1f"),
    "P2": ("p_mpjpe_mm", ".1f"),
    "P3": ("n_mpjpe_mm", ".1f"),
    "MPJVE": ("mpjve_mm", ".2f"),
    "PCK": ("pck_150mm", ".1f"),
    "AUC": ("auc_150mm", ".1f"),
}
LEGEND = "P1 MPJPE, P2 P-MPJPE, P3 N-MPJPE: mm; MPJVE: mm per frame; PCK and AUC within 150 mm: %"
# The printed table has at most this many rows, so that it fills a screen with averages, joints and notes.
MOST_ROWS = 18


def main(config: EvaluateConfig) -> int:
    """Score, write `metrics.json` and a page, print a summary."""
    job = run.prepare(config)
    with storage.sole_writer(job.output), runs.record("evaluate", job.config) as record:
        track_set = TrackSet("testing", job.config.data, job.tracks)
        record.log_read(track_set)
        with progress_bar(job.tracks) as watch:
            report = run.execute(job, watch)
        records.log(record, report, ModelFile.of(job.config.model, job.sha256, job.card), track_set)
        keep_page(partial(evaluation_page, report), job.output, "evaluation.html", record)
        keep_figures(partial(figures, report), record)
    show(report, job.metrics_file)
    return 0


@contextmanager
def progress_bar(tracks: Sequence[TrackInfo]) -> Iterator[Callable[[Iterable[KeypointTrack]], Iterator[KeypointTrack]]]:
    """A progress bar on standard error that advances as tracks are read."""
    with stage_bars(transient=True) as on_progress:

        def watch(tracks_read: Iterable[KeypointTrack]) -> Iterator[KeypointTrack]:
            done, total = 0, sum(track.frames for track in tracks)
            for number, track in enumerate(tracks_read, start=1):
                yield track
                done += len(track)
                on_progress(Progress("evaluate", done, total, "frames", f"{number:,} of {len(tracks):,} tracks"))

        yield watch


def figures(report: Mapping[str, Any]) -> dict[str, bytes]:
    """PNG files: the error by joint and by action, of tracks with labels."""
    from pipelines.report.job_figures import evaluation_figures  # it loads Matplotlib

    joints = report["average"]["per_joint_mm"] if report["average"] else {}
    actions = {label: mean["metrics"]["mpjpe_mm"] for label, mean in action_rows(report["tables"])}
    return evaluation_figures({name.replace("_", " "): value for name, value in joints.items()}, actions)


def show(report: Mapping[str, Any], uri: str) -> None:
    """Print the summary."""
    console = Terminal()
    card, data = report["card"], report["data"]
    mirrored = ", averaged with the mirror image's" if report["flip"] else ""
    console.print(
        f"{card['lifter']} of {frames_read(card)} frames at {card['fps']:g} frames/s, {card['input_layout']} → "
        f"{card['output_layout']}{mirrored}"
    )
    console.print(
        f"{data['labeled_tracks']:,} labeled and {data['unlabeled_tracks']:,} unlabeled tracks, "
        f"{data['frames']:,} frames"
    )
    if report["overall"]:
        for line in table_lines(report):
            console.print(line)
        joints = report["average"]["per_joint_mm"].items()
        console.print()
        console.print("P1 by joint, mm")
        console.print(Columns([f"{name} {value:.1f}" for name, value in joints], padding=(0, 2)))
        console.print(f"labeled: {other_measures(report['average']['metrics'])}")
    if report["unlabeled"]:
        console.print(f"unlabeled: {other_measures(report['unlabeled']['metrics'])}")
    for note in report["notes"]:
        console.print(f"note: {note}")
    console.print(f"output: {uri}")


def table_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The protocol's table: a row per action, their unweighted average, and the mean over all frames."""
    tables = report["tables"]
    rows = list(action_rows(tables))
    averages = [(f"{table['subject']} average", table["average"]) for table in tables if len(tables) > 1]
    shown, left = (rows + averages)[:MOST_ROWS], len((rows + averages)[MOST_ROWS:])
    summary = [("average", report["average"]), ("all frames", report["overall"])]
    width = max(len(label) for label, _ in shown + summary) + 2

    def line(label: str, mean: Mapping[str, Any]) -> str:
        values = ((mean["metrics"].get(name), form) for name, form in COLUMNS.values())
        cells = "".join(f"{'-' if value is None else format(value, form):>8}" for value, form in values)
        return f"{label:<{width}}{mean['frames']:>9,}{cells}"

    yield ""
    yield f"{'':<{width}}{'frames':>9}" + "".join(f"{name:>8}" for name in COLUMNS)
    yield from (line(*row) for row in shown)
    if left:
        yield f"… and {left} rows more, all in metrics.json"
    yield from (line(*row) for row in summary)
    yield LEGEND


def other_measures(metrics: Mapping[str, float]) -> str:
    """The measures that have no column in the table."""
    parts = [f"bone lengths vary by {metrics['bone_length_deviation']:.1%}"]
    for name, text in (
        ("bone_length_error_mm", "are off by {:.1f} mm"),
        ("trajectory_mm", "trajectory off by {:.1f} mm"),
        ("reprojection_px", "reprojection error {:.1f} px"),
    ):
        if name in metrics:
            parts.append(text.format(metrics[name]))
    return ", ".join(parts)
