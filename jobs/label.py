"""Label videos: run a 2D keypoint detector over them and write Parquet keypoint shards.

raylift label videos=clips/ output=out
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("label"))

from collections.abc import Sequence
from functools import partial
from typing import Any

from jobs.command_line.pages import keep_page
from jobs.command_line.progress import pace, stage_bars
from jobs.command_line.terminal import Terminal, files_in
from pipelines.io import storage
from pipelines.label import run
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import VideoSet
from schemas.configs.label import LabelConfig


def main(config: LabelConfig) -> int:
    """Label what the output lacks; returns 1 if more than `max_failed` videos failed."""
    job = run.prepare(config)  # before anything is written
    with storage.sole_writer(config.output):
        work = run.survey(job)
        if work.nothing_to_do:
            Terminal().print(f"label: nothing to do: all {len(job.sources)} videos are labeled in {config.output}")
            tell_gone(work.gone, dropped=False)
            return 0
        # The page is imported here because it loads Plotly, which a job with nothing to do never needs.
        from pipelines.report.pages.label_page import label_page

        with runs.record("label", config) as record:
            record.log_read(VideoSet("labeling", config.videos, job.sources))
            with stage_bars() as on_progress:
                report = run.execute(job, work, on_progress)
            record.log_metrics({name: v for name, v in report.items() if name != "format"})
            record.log_tags({"raylift.digest": report["digest"]})
            record.log_json(report, "report.json")
            page = partial(label_page, report, config.output, {source.uri for source in job.sources})
            keep_page(page, config.output, "report.html", record)
    show(report, config.gone == "drop")
    failed = report["videos_failed"]
    return int(config.max_failed is not None and failed > config.max_failed)


def show(report: dict[str, Any], dropped: bool = False) -> None:
    """The summary, one screen."""
    this = report["run"]
    decoders = ", ".join(f"{name} {count}" for name, count in sorted(report["decoders"].items()))
    rows = [
        ("videos", f"{report['videos']}, {report['videos_failed']} failed, {len(report['damaged'])} damaged"),
        (
            "frames",
            f"{report['frames']:,} in {report['clips']} clips (videos by decoder: {decoders or 'none'})",
        ),
        ("people", f"{report['people_in_frames']:,} detections in frames → {report['tracks']} tracks"),
        ("this run", pace(this, "to start")),
        ("worker time", ", ".join(f"{name} {s['seconds']:.1f} s" for name, s in this["stages"].items())),
        ("memory", f"{this['peak_memory_mb']:,.0f} MB at the peak, all processes of this machine's job"),
        ("output", files_in(report["output"], "tracks", "detections", "report.json", "report.html")),
    ]
    console = Terminal()
    for name, value in rows:
        console.print(f"{name:<13}{value}")
    # At most a screenful is printed; the report has all entries.
    for kind, what in (("failures", "reason"), ("damaged", "damage"), ("notes", "note"), ("too_slow", "problem")):
        for entry in report[kind][:8]:
            console.print(f"{kind.removesuffix('s').replace('_', ' '):<13}{entry['video']}: {entry[what]}")
        if len(report[kind]) > 8:
            console.print(f"… and {len(report[kind]) - 8} more, all in report.json")
    for entry in report["left_out"][:8]:
        console.print(f"{'left out':<13}{entry['files']:,} {entry['reason']}, such as {entry['examples'][0]}")
    tell_gone(report["gone"], dropped)


def tell_gone(gone: Sequence[str], dropped: bool) -> None:
    """Say which videos are no longer where they were."""
    if gone:
        fate = "their labels are dropped" if dropped else "their labels stay; gone=drop removes them"
        Terminal().print(f"{'gone':<13}{len(gone):,} labeled videos, such as {gone[0]}: {fate}")
