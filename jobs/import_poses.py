"""Import labeled poses (Human3.6M, HumanEva, MPI-INF-3DHP, motion capture, synthetic truth) as labeled tracks.

raylift import_poses source=mocap17 source.positions=cmu_mocap_17j.npz output=out/cmu
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("import_poses"))

from collections.abc import Mapping
from typing import Any

from jobs.command_line.progress import stage_bars
from jobs.command_line.terminal import Terminal, files_in
from pipelines import registry
from pipelines.import_poses import run
from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.datasets import FileSet, addresses_of
from schemas.configs.import_poses import ImportPosesConfig

# At most this many people are named on the terminal; the report has them all.
_SUBJECTS = 40


def main(config: ImportPosesConfig) -> int:
    """Import what the output lacks, then print what it holds."""
    return import_all("import_poses", config, registry.POSE_SOURCES)


def import_all(name: str, config: run.ImportConfig, table: Mapping[str, str]) -> int:
    """Import what the output lacks, then print what it holds.

    Args:
        name: Name of the job.
        config: Its config.
        table: The plug-ins that its source is one of.
    """
    job = run.prepare(config, table)  # before anything is written
    work = run.survey(job)
    if work.nothing_to_do:
        Terminal().print(f"{name}: nothing to do: {config.output} holds all tracks of this source")
        return 0
    with storage.sole_writer(config.output), runs.record(name, config) as record:
        counts = {"source": config.source.name, "files": job.files}
        record.log_read(FileSet("importing", addresses_of(config.source.options), "files", job.digest, counts))
        with stage_bars(transient=True) as on_progress:
            report = run.execute(job, work, on_progress)
        record.log_report(report)
    show(report)
    return 0


def show(report: dict[str, Any]) -> None:
    """The summary, one screen."""
    unlabeled = report["tracks"] - report["labeled_tracks"]
    people = report["subjects"]
    subjects = ", ".join(f"{name} {frames:,}" for name, frames in [*people.items()][:_SUBJECTS])
    subjects += f" and {len(people) - _SUBJECTS:,} others" if len(people) > _SUBJECTS else ""
    rows = [
        ("tracks", f"{report['tracks']:,} in layout {report['layout']}: {unlabeled:,} of them unlabeled"),
        ("frames", f"{report['frames']:,} in {report['seconds']:.1f} s, {report['labeled_frames']:,} labeled"),
        ("subjects", f"frames of each: {subjects}"),
        ("output", f"{files_in(report['output'], 'tracks', 'report.json')} ({len(report['files'])} files of tracks)"),
    ]
    console = Terminal()
    for name, value in rows:
        console.print(f"{name:<13}{value}")
    # At most a screenful is printed; the report has all notes.
    for note in report["notes"][:8]:
        console.print(f"{'note':<13}{note}")
    if len(report["notes"]) > 8:
        console.print(f"… and {len(report['notes']) - 8} more, all in report.json")
