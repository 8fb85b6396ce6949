"""Show how far the job that writes to an output is, or how it ended, by reading only the output.

raylift status output=out [json=true]
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("status"))

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.command_line.terminal import Terminal
from pipelines.io import json_documents, storage
from pipelines.io.secrets import redact
from pipelines.label.status import EXAMPLES, MANIFEST, REPORT, status, written_at
from schemas.configs.status import StatusConfig
from schemas.errors import UserError

# The job that writes a document, found by the format of the document.
WRITERS = {
    "raylift.report": "label",
    "raylift.training": "train",
    "raylift.detector_training": "train_detector",
    "raylift.search": "tune",
    "raylift.search.report": "tune",
    "raylift.lift": "lift",
    "raylift.import": "import_poses",
    "raylift.triangulate": "triangulate",
    "raylift.curation": "curate",
    "raylift.align": "align",
    "raylift.embed": "embed",
    "raylift.aligner_training": "train_aligner",
    "raylift.metrics": "evaluate",
    "raylift.detector_metrics": "evaluate_detector",
    "raylift.comparison": "compare",
}
# The files that a job writes at its end, and those that it writes when it begins.
LAST, MANIFESTS = (REPORT, "metrics.json", "comparison.json"), ("run.json", "search.json")
MAX_REASONS = 8


def main(config: StatusConfig) -> int:
    """Print the state of the job; returns 0 even if the job failed, because the command itself succeeded."""
    state = read_state(storage.absolute(config.output))
    if config.as_json:
        print(redact(json.dumps(state, indent=2)))
    elif state["job"] == "label":
        show(state)
    else:
        at = format_time(state["last_written_at"])
        Terminal().print(f"{state['job']}: {state['state']}, according to {state['file']} of {at}")
    return 0


def read_state(output: str) -> dict[str, Any]:
    """The state of an output of any job.

    Raises:
        UserError: There is no such folder, or it holds no output of a job.
    """
    files_s = written_at(output)
    if MANIFEST in files_s or (other := _other(output, files_s)) is None or other["job"] == "label":
        if (
            MANIFEST not in files_s
            and REPORT not in files_s
            and not storage.list_folder(storage.join(output, "detections"))
        ):
            if not storage.exists(output):
                raise UserError(f"output={output}: there is no such folder")
            raise UserError(f"output={output}: holds no output of a job, or the job has not written anything yet")
        return status(output)
    return other


def _other(output: str, files_s: Mapping[str, float]) -> dict[str, Any] | None:
    """The state of the output of a job other than label, by the format of its files; None if no format is known."""
    for name in (*LAST, *MANIFESTS):
        if name in files_s:
            try:
                form = json_documents.read(storage.join(output, name)).get("format")
            except UserError:
                continue
            if job := WRITERS.get(str(form).partition("/")[0]):
                state = "finished" if name in LAST else "begun, not finished"
                return {"job": job, "output": output, "state": state, "file": name, "last_written_at": files_s[name]}
    return None


def show(state: Mapping[str, Any]) -> None:
    """Print the state of a label job."""
    console = Terminal()
    for name, value in rows(state):
        console.print(f"{name:<9}{value}")
    for failure in state["failures"][:MAX_REASONS]:
        examples = ", ".join(failure["examples"]) + (", …" if failure["videos"] > EXAMPLES else "")
        console.print(f"{'failure':<9}{failure['videos']:,} × {failure['reason']}: {examples}")
    if len(state["failures"]) > MAX_REASONS:
        console.print(f"… and {len(state['failures']) - MAX_REASONS} more reasons; json=true prints all")


def rows(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines of the summary of a label job."""
    videos, tracks = state["videos"], state["tracks"]
    yield "state", format_state(state)
    planned = "" if videos["planned"] is None else f" of {videos['planned']:,}"
    yield (
        "videos",
        f"{videos['finished']:,}{planned} finished, {videos['in_progress']:,} in progress, {videos['failed']:,} failed",
    )
    yield "frames", f"{state['frames']:,} in {state['clips']:,} clips"
    yield "people", f"{state['people_in_frames']:,} detections in frames"
    if state["frames_per_s"]:
        yield "speed", f"{state['frames_per_s']:,.1f} frames/s{format_eta(state)}"
    linked = "linked" if tracks["linked"] else "not linked since"
    yield "tracks", f"{linked}: {tracks['tracks']:,} in {tracks['files']:,} files"


def format_state(state: Mapping[str, Any]) -> str:
    """The state of the job in words."""
    if state["state"] == "finished":
        return f"finished {format_time(state['last_written_at'])}"
    doing = {"label": "labeling", "link": "linking"}[state["stage"]]
    if state["last_written_at"] is None:
        return f"{doing}, nothing written yet"
    silent = format_duration(state["silent_s"])
    if state["state"] == "stopped":
        return f"looks stopped while {doing}: nothing written for {silent}; run the same command again to continue"
    return f"{doing}, last written {silent} ago"


def format_eta(state: Mapping[str, Any]) -> str:
    """The remaining time of labeling at the present speed, and when it ends."""
    if state["eta_s"] is None:
        return ""
    return f", {format_duration(state['eta_s'])} to go: until {format_time(time.time() + state['eta_s'])}, then linking"


def format_duration(seconds: float) -> str:
    """A duration in at most two units."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    parts = [(days, "d"), (h, "h"), (m, "min"), (s, "s")]
    first = next((place for place, (value, _) in enumerate(parts) if value), 3)
    shown = parts[first : first + 1] if first >= 2 else parts[first : first + 2]
    return " ".join(f"{value} {unit}" for value, unit in shown)


def format_time(seconds: float) -> str:
    """A time in the time zone of this machine."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
