"""How far a job is that writes to an output, or what it ended with, from the output alone.

python -m jobs.status output=out [json=true]
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("status"))

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.command_line.terminal import Terminal
from pipelines.io import storage
from pipelines.io.secrets import redact
from pipelines.label.status import EXAMPLES, MANIFEST, REPORT, status, written_at
from schemas.configs.status import StatusConfig
from schemas.errors import UserError

# Whose documents these are, by the format that they name.
WRITERS = {
    "raylift.report": "label",
    "raylift.training": "train",
    "raylift.detector_training": "train_detector",
    "raylift.search": "tune",
    "raylift.search.report": "tune",
    "raylift.lift": "lift",
    "raylift.import": "import_poses",
    "raylift.metrics": "evaluate",
    "raylift.detector_metrics": "evaluate_detector",
    "raylift.comparison": "compare",
}
# The files that a job writes at its end, and those that it writes when it begins.
LAST, MANIFESTS = (REPORT, "metrics.json", "comparison.json"), ("run.json", "search.json")
MOST_REASONS = 8


def main(config: StatusConfig) -> int:
    """Look and tell; 0 whatever the job's fate is, as the question was answered."""
    found = look(storage.absolute(config.output))
    if config.as_json:
        print(redact(json.dumps(found, indent=2)))
    elif found["job"] == "label":
        show(found)
    else:
        said_at = told_time(found["last_written_at"])
        Terminal().print(f"{found['job']}: {found['state']}, as {found['file']} of {said_at} says")
    return 0


def look(output: str) -> dict[str, Any]:
    """The state of an output of any job.

    Raises:
        UserError: There is no such folder, or no job's output in it.
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
            raise UserError(f"output={output}: holds no job's output, or its job has not begun to write yet")
        return status(output)
    return other


def _other(output: str, files_s: Mapping[str, float]) -> dict[str, Any] | None:
    for name in (*LAST, *MANIFESTS):
        if name in files_s:
            try:
                form = json.loads(storage.read_bytes(storage.join(output, name))).get("format")
            except (ValueError, AttributeError):
                continue
            if job := WRITERS.get(str(form).partition("/")[0]):
                state = "finished" if name in LAST else "begun, not finished"
                return {"job": job, "output": output, "state": state, "file": name, "last_written_at": files_s[name]}
    return None


def show(found: Mapping[str, Any]) -> None:
    """The state of a label job, one screen."""
    console = Terminal()
    for name, value in rows(found):
        console.print(f"{name:<9}{value}")
    for failure in found["failures"][:MOST_REASONS]:
        examples = ", ".join(failure["examples"]) + (", …" if failure["videos"] > EXAMPLES else "")
        console.print(f"{'failure':<9}{failure['videos']:,} × {failure['reason']}: {examples}")
    if len(found["failures"]) > MOST_REASONS:
        console.print(f"… and {len(found['failures']) - MOST_REASONS} reasons more; json=true has them all")


def rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is told of a label job, line by line."""
    videos, tracks = found["videos"], found["tracks"]
    yield "state", told_state(found)
    planned = "" if videos["planned"] is None else f" of {videos['planned']:,}"
    yield (
        "videos",
        f"{videos['finished']:,}{planned} finished, {videos['in_progress']:,} in progress, {videos['failed']:,} failed",
    )
    yield "frames", f"{found['frames']:,} in {found['clips']:,} clips"
    yield "people", f"{found['people_in_frames']:,} detections in frames"
    if found["frames_per_s"]:  # none and 0 say as much
        yield "speed", f"{found['frames_per_s']:,.1f} frames/s{told_eta(found)}"
    linked = "linked" if tracks["linked"] else "not linked since"
    yield "tracks", f"{linked}: {tracks['tracks']:,} in {tracks['files']:,} files"


def told_state(found: Mapping[str, Any]) -> str:
    """What the job does, in words."""
    if found["state"] == "finished":
        return f"finished {told_time(found['last_written_at'])}"
    doing = {"label": "labeling", "link": "linking"}[found["stage"]]
    if found["last_written_at"] is None:
        return f"{doing}, nothing written yet"
    silent = told_duration(found["silent_s"])
    if found["state"] == "stopped":
        return f"looks stopped while {doing}: nothing written for {silent}; the same command goes on from here"
    return f"{doing}, last written {silent} ago"


def told_eta(found: Mapping[str, Any]) -> str:
    """When labeling will be done at this rate."""
    if found["eta_s"] is None:
        return ""
    return f", {told_duration(found['eta_s'])} to go: until {told_time(time.time() + found['eta_s'])}, then linking"


def told_duration(seconds: float) -> str:
    """Two units at most."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    parts = [(days, "d"), (h, "h"), (m, "min"), (s, "s")]
    first = next((place for place, (value, _) in enumerate(parts) if value), 3)
    kept = parts[first : first + 1] if first >= 2 else parts[first : first + 2]
    return " ".join(f"{value} {unit}" for value, unit in kept)


def told_time(seconds: float) -> str:
    """A moment by this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
