"""`raylift submit` against a real Ray head with its job server and an MLflow server, as a user at a laptop runs it."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from docs.doc_commands import Snippet, steps
from ports import free_port
from running_jobs import ROOT, Job
from train.training_samples import person, write

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def head(plugin_path, mlflow_server, tmp_path_factory):
    """What a laptop knows of a cluster of two CPUs: its address, its token and the MLflow server."""
    folder, port = tmp_path_factory.mktemp("head"), free_port()
    known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "MLFLOW_TRACKING_URI": mlflow_server}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
    environment |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    command = [str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats"]
    command += ["--port=0", "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    # The embedded cluster of other tests has the usual one.
    command += [f"--dashboard-agent-listen-port={free_port()}"]
    with (folder / "log.txt").open("w") as log:
        token = {name: known[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
        process = subprocess.Popen(command, cwd=folder, env=environment | token, stdout=log, stderr=log)
    yield {"address": f"http://127.0.0.1:{port}", "known": known, "environment": environment, "log": folder / "log.txt"}
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


def start(head, *words, forget=()):
    """`python -m jobs.submit …` from the laptop, which may have forgotten what it knew."""
    known = {name: value for name, value in head["known"].items() if name not in forget}
    command = [sys.executable, "-m", "jobs.submit", *map(str, words), f"address={head['address']}"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env=head["environment"] | known, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def submit(head, *words, forget=(), folder=ROOT):
    """The same to its end: (exit code, what it printed)."""
    known = {name: value for name, value in head["known"].items() if name not in forget}
    job = Job(["submit", *words, f"address={head['address']}"], folder=folder, environment=head["environment"] | known)
    return job.wait(400), job.text()


@pytest.fixture(scope="module")
def ready(head):
    """The head, once it answers."""
    deadline = time.monotonic() + 120
    while (answer := submit(head, "list"))[0] == 1:
        assert time.monotonic() < deadline, head["log"].read_text() + answer[1]
    assert answer[0] == 0, answer[1]
    return head


def ids(out):
    return re.findall(r"submitted (\S+) to", out)


def test_the_walk_to_a_cluster_leads_to_its_end(ready, make_video, tmp_path):
    # The storage that all machines reach is a folder here; the detector needs no weights.
    make_video(tmp_path / "shared" / "clips" / "a.mp4")
    spot, job = ["detector=bright_spot:BrightSpot", "env=[PYTHONPATH]"], ""
    for step in steps(ROOT / "docs" / "walks" / "my_cluster.md"):
        if isinstance(step, Snippet):
            (tmp_path / step.title).write_text(step.code.replace("/shared", f"{tmp_path}/shared"))
        # What prints a manifest of Kubernetes needs no Ray: tests/cluster/test_kubernetes_submit.py.
        elif step.text.startswith("raylift submit") and "kubernetes=" not in step.text:
            words = [word.replace("ID", job) for word in step.words[2:] if not word.startswith("address=")]
            code, out = submit(ready, *words, *(spot if words[0] == "label" else ()), folder=tmp_path)
            assert code == 0, out
            if words[0] == "label":
                # Its own summary came through, and its results lie where they should.
                assert "frames       40 in" in out
                assert json.loads((tmp_path / "shared" / "out" / "report.json").read_text())["tracks"] == 1
                (job,) = ids(out)
            assert job in out or words[0] == "logs"
            assert "state    succeeded" in out or words[0] != "status"
            assert "frames       40 in" in out or words[0] != "logs"


def test_train_and_tune_run_there_as_they_would_here(ready, tmp_path):
    labeled = write(tmp_path / "tracks", person("a"), person("b", subject="S2"))
    small = ["lifter.filter_widths=[3]", "lifter.channels=16", "optimization.epochs=2", "optimization.batch_size=32"]
    small += [f"labeled={labeled}", "data.validation_subjects=[S2]", "resources.cpus_per_worker=1"]
    code, out = submit(ready, "train", *small, f"output={tmp_path}/lifter")
    assert code == 0, out
    assert (tmp_path / "lifter" / "best.pt").is_file()

    rates = "search_space.optimization.learning_rate={choice: [0.001]}"
    searched = [rates, "sampler=grid", "scheduler=none", f"output={tmp_path}/search"]
    code, out = submit(ready, "tune", *small, *searched)
    assert code == 0, out
    assert (tmp_path / "search" / "best.yaml").is_file()

    code, out = submit(ready, "list")
    assert (code, [out.count(f" {job} ") for job in ("train", "tune")]) == (0, [1, 1])


def test_a_job_ends_with_its_own_exit_code(ready, tmp_path):
    code, out = submit(ready, "label", f"videos={tmp_path}/nothing", f"output={tmp_path}/out")
    assert code == 2
    assert "no such file or folder" in out
    (job,) = ids(out)
    assert f"submit: {job} failed: exit code 2" in out
    assert submit(ready, "status", job)[0] == 2


def test_ctrl_c_stops_looking_and_stop_stops(ready, make_video, tmp_path):
    make_video(tmp_path / "slow.mp4")
    slow = ["detector=bright_spot:BrightSpot", "detector.delay_s=5", "env=[PYTHONPATH]"]
    looking = start(ready, "label", f"videos={tmp_path}/slow.mp4", f"output={tmp_path}/out", *slow)
    assert looking.stdout is not None
    (job,) = ids(looking.stdout.readline())
    time.sleep(2)
    looking.send_signal(signal.SIGINT)
    out, err = looking.communicate(timeout=60)
    assert looking.returncode == 130
    assert f"{job} goes on" in err
    assert f"raylift submit logs {job} address={ready['address']}" in out
    assert "state    running" in submit(ready, "status", job)[1]
    code, out = submit(ready, "stop", job)
    assert (code, "state    stopped" in out) == (0, True)
    assert submit(ready, "logs", job)[0] == 1


@pytest.mark.parametrize(
    ("words", "forget", "code", "message"),
    [
        (["list"], ["RAY_AUTH_MODE", "RAY_AUTH_TOKEN"], 2, "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN=…"),
        (["status", "label-0"], [], 2, "id=label-0: http://127.0.0.1:"),
        (
            ["label", "videos=/x", "output=/y"],
            ["MLFLOW_TRACKING_URI"],
            2,
            "MLFLOW_TRACKING_URI is not set: on a cluster",
        ),
    ],
)
def test_what_is_missing_is_one_clear_line(ready, words, forget, code, message):
    exit_code, out = submit(ready, *words, forget=forget)
    assert (exit_code, message in out) == (code, True), out
    assert "Traceback" not in out
