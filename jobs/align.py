"""Put recordings of one action in step with a reference: paths in time, repetitions, events, deviations, moments.

raylift align poses=out/lifted reference=TRACK start_s=1.2 stop_s=3.4 repetitions=true output=out/squats
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("align"))

from collections.abc import Iterator
from typing import Any

from jobs.command_line.progress import stage_bars
from jobs.command_line.terminal import Terminal, files_in
from pipelines.align import run
from pipelines.align.features import corpus_files
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import FileSet, TrackSet
from pipelines.tracks.keypoint_reader import digest
from schemas.configs.align import AlignConfig

_SHOWN = 12


def main(config: AlignConfig) -> int:
    """Align the recordings that the output lacks, then print what was found; returns 1 if none can be aligned."""
    job = run.prepare(config)  # before anything is written
    work = run.survey(job)
    if work.report:
        Terminal().print(f"align: nothing to do: {config.output} holds this alignment")
        return _shown(work.report)
    with storage.sole_writer(config.output), runs.record("align", config) as record:
        record.log_read(*read_sets(job))
        with stage_bars(transient=True) as on_progress:
            report = run.execute(job, work, on_progress)
        record.log_json(report, "report.json")
        if job.features.sha256 is not None:
            record.log_used(job.features.sha256)
            record.log_tags({"raylift.model_sha256": job.features.sha256})
    return _shown(report)


def read_sets(job: run.Job) -> Iterator[TrackSet | FileSet]:
    """What the alignment reads: tracks or lifted tracks, and embeddings that are searched."""
    config, recordings = job.config, job.recordings
    if config.poses is None:
        yield TrackSet("aligning", config.tracks, recordings.tracks)
    else:
        files = recordings.files
        counts = {"tracks": len(recordings.ids), "files": len(files)}
        yield FileSet("aligning", config.poses, "poses", digest(files), counts)
    if config.corpus is not None:
        files = corpus_files(config.corpus)
        yield FileSet("searching", config.corpus, "embeddings", digest(files), {"files": len(files)})


def _shown(report: dict[str, Any]) -> int:
    """Print what was found; the exit code."""
    show(report)
    in_step = [entry for entry in report["recordings"] if entry["error"] is None]
    return 0 if in_step or report["moments"] else 1


def show(report: dict[str, Any]) -> None:
    """Print the summary, which fits one screen."""
    console = Terminal()
    reference = report["reference"]
    console.print(
        f"{'reference':<14}{reference['track_id']}, from {reference['start_s']:.2f} to {reference['stop_s']:.2f} s"
    )
    for entry in report["recordings"][:_SHOWN]:
        console.print(f"{entry['track_id']:<14.12} {entry['error'] or _summary(entry)}")
    if len(report["recordings"]) > _SHOWN:
        console.print(f"… and {len(report['recordings']) - _SHOWN} more in report.json")
    for moment in report["moments"][:_SHOWN]:
        console.print(
            f"moment        {moment['track_id']} at {moment['time_s']:.2f} s, distance {moment['distance']:.2f}"
        )
    console.print(f"output        {files_in(report['output'], run.PAIRS, run.REPORT)} and a page for each recording")


def _summary(entry: dict[str, Any]) -> str:
    """What was found in a recording: how often, when, and where it deviates most."""
    first, count = entry["repetitions"][0], len(entry["repetitions"])
    worst = max(
        (
            (value, part, joint)
            for part, values_of_joints in entry["deviations"].items()
            for joint, value in values_of_joints.items()
        ),
    )
    times = f"{count} repetitions, the first" if count > 1 else "in step"
    joint = worst[2].replace("_", " ")
    mirrored = ", mirrored" if entry["mirrored"] else ""
    return (
        f"{times} from {first['start_s']:.2f} to {first['stop_s']:.2f} s{mirrored}, distance {entry['distance']:.2f}; "
        f"deviates most at {joint} ({worst[1]})"
    )
