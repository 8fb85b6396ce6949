"""Choose the tracks that are worth training on: good ones, no copies, and as many different poses as possible.

raylift curate tracks=out/labels/tracks output=out/curated budget_frames=1000000
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("curate"))

from typing import Any

from jobs.command_line.progress import stage_bars
from jobs.command_line.terminal import Terminal, files_in
from pipelines.curate import run
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import TrackSet
from schemas.configs.curate import CurateConfig


def main(config: CurateConfig) -> int:
    """Measure the tracks that the output lacks, choose among all, then print what was kept; 1 if nothing was."""
    job = run.prepare(config)  # before anything is written
    work = run.survey(job)
    if work.report:
        Terminal().print(f"curate: nothing to do: {config.output} holds this choice")
        show(work.report)
        return 0 if work.report["tracks_kept"] else 1
    with storage.sole_writer(config.output), runs.record("curate", config) as record:
        record.log_read(TrackSet("curating", config.tracks, job.tracks))
        with stage_bars(transient=True) as on_progress:
            report = run.execute(job, work, on_progress)
        record.log_report(report)
        record.log_page(storage.read_bytes(storage.join(report["output"], run.PAGE)).decode(), run.PAGE)
    show(report)
    return 0 if report["tracks_kept"] else 1


def show(report: dict[str, Any]) -> None:
    """The summary, one screen."""
    console = Terminal()
    rows = [
        ("tracks", f"{report['tracks_kept']:,} of {report['tracks']:,} kept"),
        ("frames", f"{report['frames_kept']:,} of {report['frames']:,} kept"),
    ]
    rows += [(word, f"{of['tracks']:,} tracks, {of['frames']:,} frames") for word, of in report["rejected"].items()]
    rows.append(("output", files_in(report["output"], "tracks", run.PAGE, "report.json")))
    rows += [("no tracks", f"{file}: {reason}") for file, reason in list(report.get("refused", {}).items())[:8]]
    for name, value in rows:
        console.print(f"{name:<16}{value}")
    if not report["tracks_kept"]:
        console.print(
            "no track is worth training on by these rules: the page shows why; loosen quality.… or give others"
        )
