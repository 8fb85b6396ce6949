"""Embed every frame of keypoint tracks with an aligner, for search in large corpora and for other programs.

raylift embed tracks=out/tracks aligner=out/aligner/best.pt output=out/embedded
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("embed"))

from typing import Any

from jobs.command_line.progress import stage_bars
from jobs.command_line.terminal import Terminal, files_in
from pipelines.embed import run
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet
from schemas.configs.embed import EmbedConfig


def main(config: EmbedConfig) -> int:
    """Embed the tracks that the output lacks, then print what it holds."""
    job = run.prepare(config)  # before anything is written
    work = run.survey(job)
    if work.nothing_to_do:
        Terminal().print(f"embed: nothing to do: {config.output} holds all {sum(job.files.values()):,} tracks")
        return 0
    with storage.sole_writer(config.output), runs.record("embed", config) as record:
        record.log_read(TrackSet("embedding", config.tracks, job.tracks))
        with stage_bars(transient=True) as on_progress:
            report = run.execute(job, work, on_progress)
        record.log_report(report, given=("frames_per_s",))
        record.log_used(job.sha256)
        record.log_tags({"raylift.model": job.name, "raylift.model_sha256": job.sha256})
    show(report)
    return 0 if config.max_failed is None or len(report["failed"]) <= config.max_failed else 1


def show(report: dict[str, Any]) -> None:
    """The summary, one screen."""
    console = Terminal()
    rows = [
        ("tracks", f"{report['tracks']:,}, {len(report['failed'])} of them failed"),
        ("frames", f"{report['frames']:,}, at {report['frames_per_s']:g} a second"),
        ("output", files_in(report["output"], "embeddings", "report.json")),
    ]
    rows += [("failed", f"{name}: {error}") for name, error in list(report["failed"].items())[:8]]
    for name, value in rows:
        console.print(f"{name:<11}{value}")
