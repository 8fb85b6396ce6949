"""Make labeled tracks of several synchronised, calibrated views: 3D positions without motion capture.

raylift triangulate tracks=out/views/tracks calibration=Calib.toml output=out/triangulated
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("triangulate"))

from typing import Any

from jobs.command_line.progress import stage_bars
from jobs.command_line.terminal import Terminal, files_in
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.triangulate import run
from schemas.configs.triangulate import TriangulateConfig


def main(config: TriangulateConfig) -> int:
    """Triangulate the sessions that the output lacks, then print what it holds."""
    job = run.prepare(config)  # before anything is written
    work = run.survey(job)
    if work.nothing_to_do:
        Terminal().print(f"triangulate: nothing to do: {config.output} holds all {len(job.sessions)} sessions")
        return 0
    with storage.sole_writer(config.output), runs.record("triangulate", config) as record:
        tracks = [track for session in job.sessions for of_view in session.tracks.values() for track in of_view]
        record.log_read(TrackSet("triangulating", config.tracks, tracks))
        with stage_bars(transient=True) as on_progress:
            report = run.execute(job, work, on_progress)
        record.log_report(report)
    show(report)
    return 0 if config.max_failed is None or len(report["failed"]) <= config.max_failed else 1


def show(report: dict[str, Any]) -> None:
    """The summary, one screen."""
    console = Terminal()
    rows = [
        ("sessions", f"{report['sessions']:,}, {len(report['failed'])} of them failed"),
        ("people", f"{report['people']:,}, {report['tracks']:,} labeled tracks, {report['frames']:,} frames"),
        ("residual", f"{report['residual_px']} px: median distance of keypoints from projected joints"),
        ("output", f"{files_in(report['output'], 'tracks', 'sessions', 'report.json')} (a page each in sessions)"),
    ]
    rows += [("failed", f"{name}: {error}") for name, error in list(report["failed"].items())[:8]]
    rows += [("note", text) for text in report["notes"][:8]]
    for name, value in rows:
        console.print(f"{name:<13}{value}")
