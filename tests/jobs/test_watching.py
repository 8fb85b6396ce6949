"""Jobs on a Ray of their own, watched from outside: metrics, logs, sockets, secrets, and odd names.

The videos are called what people call them, and what nobody should; one is no video, one cannot be reached.
"""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from cluster.prometheus_process import MISSING, Prometheus, running_prometheus
from label.odd_names import ODD_NAMES
from mlflow_store import new_store
from train.training_samples import person, write

from pipelines.io import storage
from pipelines.ray_cluster.prometheus import COUNTERS, JOB_TAG

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
KEY = "planted-key"
FRAMES = 8
# Two jobs on one Ray, which then lives until all that they have counted has been seen, or a minute.
TRAIN_AND_LIFT = """
import json, os, sys, time
from jobs.command_line.main import run_job
for name, *fields in json.loads(sys.argv[1]):
    assert run_job(name, fields) == 0
# What a search would count.
from pipelines.ray_cluster.prometheus import count_trial
count_trial(False)
count_trial(True)
gives_up_at = time.monotonic() + 60
while not os.path.exists(sys.argv[2]) and time.monotonic() < gives_up_at:
    time.sleep(0.1)
"""
# What that program counts last. A rate needs two samples.
LAST = "ray_raylift_failed_trials_total"
LAST_SEEN_TWICE = f"count_over_time({LAST}[5m]) >= 2"
DASHBOARD = ROOT / "cluster" / "monitoring" / "grafana.json"
# Where nobody listens.
UNREACHABLE = f"http://me:{KEY}@127.0.0.1:9/gone.mp4?X-Amz-Signature={KEY}"


@dataclass
class Watched:
    """What was seen of a job."""

    folder: Path
    code: int = -1
    out: str = ""
    err: str = ""
    metrics: str = ""
    sockets: set[str] = field(default_factory=set)
    logs: str = ""
    panels: dict[str, list] = field(default_factory=dict)

    def lines(self) -> list[dict]:
        """The workers' log lines that are ours."""
        own_lines = (line for line in self.logs.splitlines() if line.startswith("{") and '"reason"' in line)
        return [json.loads(line) for line in own_lines]


@pytest.fixture(scope="module")
def watched(plugin_path, make_video, tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    for name in ODD_NAMES:
        make_video(folder / "videos" / name, frames=FRAMES)
    (folder / "videos" / "0 poisoned\n.mp4").write_text("no video")
    (folder / "more.csv").write_text(f"uri\n{UNREACHABLE}\n")
    fields = [f"videos=[{folder}/videos, {folder}/more.csv]", f"output={folder}/out", "link.min_track_s=0.2"]
    fields += ["detector=bright_spot:BrightSpot", "detector.delay_s=0.02"]
    fields += ["workers.clips_per_file=1", "workers.detectors=1"]
    return watch(folder, "-m", "jobs.label", *fields)


def watch(folder: Path, *arguments: str) -> Watched:
    # Not below pytest's folder: the names of Ray's sockets have to be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as temporary:
        if shutil.which("prometheus") is None:
            return _watch(Watched(folder), temporary, arguments, None)
        (folder / "prometheus").mkdir()
        with running_prometheus(folder / "prometheus") as prometheus:
            observed = _watch(Watched(folder), temporary, arguments, prometheus)
            for panel in json.loads(DASHBOARD.read_text())["panels"]:
                asked = {target["legendFormat"]: prometheus.ask(target["expr"]) for target in panel["targets"]}
                observed.panels |= {f"{panel['title']}: {legend}": series for legend, series in asked.items()}
            return observed


def _watch(observed: Watched, temporary: str, arguments: tuple[str, ...], prometheus: Prometheus | None) -> Watched:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "RAY_TMPDIR": temporary,
        "RAY_metrics_report_interval_ms": "200",
        "RAY_LOGGING_CONFIG_ENCODING": "JSON",
        "MLFLOW_TRACKING_URI": new_store(observed.folder),
        "AWS_SECRET_ACCESS_KEY": KEY,
        "MLFLOW_TRACKING_PASSWORD": KEY,
    }
    command = [sys.executable, *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)
    family = psutil.Process(process.pid)
    try:
        while process.poll() is None:
            look(observed, family, prometheus)
            if prometheus.ask(LAST_SEEN_TWICE) if prometheus else LAST in observed.metrics:
                (observed.folder / "seen").touch()
            time.sleep(0.3)
        observed.out, observed.err = process.communicate()
    finally:
        process.kill()
    observed.code = process.returncode
    files = [file for file in Path(temporary).rglob("*") if file.is_file() and not file.is_symlink()]
    observed.logs = "\n".join(
        file.read_text(errors="replace") for file in files if file.suffix in (".err", ".out", ".log")
    )
    return observed


def look(observed: Watched, family: psutil.Process, prometheus: Prometheus | None) -> None:
    """Note where the job's processes listen, and what its node says of it."""
    for process in psutil.Process(family.pid).children(recursive=True) if family.is_running() else []:
        try:
            listening = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
            agent = "DashboardAgent" in "".join(process.cmdline())
        except psutil.Error:
            continue  # it has ended
        observed.sockets |= {address.ip for address in listening}
        for address in listening if agent else ():
            try:
                text = urllib.request.urlopen(f"http://127.0.0.1:{address.port}/metrics", timeout=2).read().decode()
            except (OSError, http.client.HTTPException):
                continue  # a port of another kind
            observed.metrics = text if "raylift" in text else observed.metrics
            if prometheus and "ray_" in text:
                prometheus.read(f"127.0.0.1:{address.port}")


def value(observed: Watched, name: str, job: str, **tags: str) -> float:
    """A metric of a job at the last look, summed over what has these tags."""
    tags |= {JOB_TAG: job}
    lines = re.findall(rf"^ray_{name}{{(.*)}} (\S+)$", observed.metrics, re.MULTILINE)
    return sum(float(number) for labels, number in lines if all(f'{k}="{v}"' in labels for k, v in tags.items()))


def test_videos_of_any_name_are_labeled(watched):
    assert watched.code == 1, watched.out + watched.err
    files = storage.list_folder(f"{watched.folder}/out/tracks", ".parquet")
    tracks = pa.concat_tables(storage.read_table(file) for file in files)
    assert sorted(tracks["video"].to_pylist()) == sorted(f"{watched.folder}/videos/{name}" for name in ODD_NAMES)
    assert set(tracks["frames"].to_pylist()) == {FRAMES}
    report = json.loads((watched.folder / "out" / "report.json").read_text())
    assert (report["videos"], report["videos_failed"]) == (len(ODD_NAMES) + 2, 2)


def test_the_nodes_endpoint_says_how_the_job_goes(watched):
    assert 0 < value(watched, "raylift_frames_total", "label") <= FRAMES * len(ODD_NAMES)
    assert value(watched, "raylift_people_total", "label") == value(watched, "raylift_frames_total", "label")
    assert 0 < value(watched, "raylift_failed_clips_total", "label") <= 2
    for stage in ("plan", "decode", "detect", "write"):
        assert value(watched, "raylift_stage_seconds_total", "label", stage=stage) > 0
    assert {name[4:] for name in re.findall(r"^(ray_raylift_\w+){", watched.metrics, re.MULTILINE)} <= set(COUNTERS)


def test_workers_log_a_line_for_each_failure(watched):
    by_video = {line["video"]: line for line in watched.lines()}
    poisoned = by_video[f"{watched.folder}/videos/0 poisoned\n.mp4"]
    assert (poisoned["levelname"], poisoned["job"], poisoned["stage"]) == ("WARNING", "label", "plan")
    assert len(poisoned["clip_id"]) == 32
    report = json.loads((watched.folder / "out" / "report.json").read_text())
    assert poisoned["reason"] in [failure["reason"] for failure in report["failures"]]
    assert "http://…@127.0.0.1:9/gone.mp4?X-Amz-Signature=…" in by_video
    assert len(watched.lines()) == 2


def test_all_ports_are_bound_to_this_machine_only(watched):
    assert watched.sockets
    assert {address.removeprefix("::ffff:") for address in watched.sockets} <= {"127.0.0.1", "::1"}


def test_no_secret_is_shown(watched):
    written = [f for f in watched.folder.rglob("*") if f.is_file() and f.suffix not in (".parquet", ".csv", ".mp4")]
    assert {"report.json", "report.html", "mlflow.db"} <= {file.name for file in written}
    showing = [file.name for file in written if KEY.encode() in file.read_bytes()]
    assert showing == []
    assert KEY not in watched.out + watched.err
    assert KEY not in watched.logs


def test_names_drive_no_terminal(watched):
    assert "\x1b" not in watched.out + watched.err
    assert "0 poisoned\\n.mp4" in watched.out


def test_the_dashboard_names_what_the_job_does(watched):
    stages = set(re.findall(r'operator="MapBatches\((\w+)\)', watched.metrics))
    assert stages == {"PlanClips", "DecodeAndDetect", "WriteDetections"}, "each a verb and its object"
    assert any(name.startswith("label") for name in re.findall(r'dataset="([^"]*)"', watched.metrics))


def test_the_nodes_endpoint_says_how_training_and_lifting_go(tmp_path):
    tracks = write(tmp_path / "mocap", person("a", 100), person("b", 60))
    train = [f"labeled={tracks}", f"output={tmp_path}/lifter", "lifter.filter_widths=[3,3]", "lifter.channels=16"]
    train += ["optimization.epochs=2", "optimization.batch_size=64", "resources.cpus_per_worker=1"]
    lift = [f"model={tmp_path}/lifter/last.pt", f"tracks={tracks}", f"output={tmp_path}/poses"]
    observed = watch(
        tmp_path, "-c", TRAIN_AND_LIFT, json.dumps([["train", *train], ["lift", *lift]]), f"{tmp_path}/seen"
    )
    assert observed.code == 0, observed.out + observed.err
    assert value(observed, "raylift_epochs_total", "train") == 2
    assert value(observed, "raylift_frames_total", "train") >= 2 * 160
    assert value(observed, "raylift_stage_seconds_total", "train", stage="train") > 0
    assert value(observed, "raylift_tracks_total", "lift") == 2
    assert value(observed, "raylift_frames_total", "lift") == 160
    assert value(observed, "raylift_failed_tracks_total", "lift") == 0
    if observed.panels:
        assert jobs(observed, "Frames a second: {{raylift_job}}") == ["lift", "train"]
        assert jobs(observed, "Epochs an hour: {{raylift_job}}") == ["train"]
        assert jobs(observed, "Workers at work, by stage: {{raylift_job}} {{stage}}") == ["train train"]
        assert len(observed.panels["Failed, of all clips and tracks: tracks"]) == 1
        assert len(observed.panels["Trials an hour: ended"]) == len(observed.panels["Trials an hour: failed"]) == 1


def test_a_real_prometheus_draws_the_dashboard(watched):
    if not watched.panels:
        pytest.skip(MISSING)
    assert jobs(watched, "Frames a second: {{raylift_job}}") == ["label"]
    stages = ["label decode", "label detect", "label plan", "label write"]
    assert jobs(watched, "Workers at work, by stage: {{raylift_job}} {{stage}}") == stages
    assert [number for _, number in watched.panels["People in a frame: people"]] == [1]
    ((_, failed),) = watched.panels["Failed, of all clips and tracks: clips"]
    assert 0 <= failed < 0.5


def jobs(observed: Watched, panel: str) -> list[str]:
    """What the legend of a panel says of each series; a label that Prometheus renamed would be missing."""
    names = re.findall(r"{{(\w+)}}", panel)
    return sorted(" ".join(labels[name] for name in names) for labels, _ in observed.panels[panel])
