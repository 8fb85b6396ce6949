"""`cluster/slurm/raylift.sbatch` on a real Slurm of two nodes: it labels, trains, is queued again when it must go."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from manifests import CLUSTER, ROOT
from mlflow_store import new_store
from slurm_processes import Slurm
from train.training_samples import person, write

from pipelines.io import storage

pytestmark = pytest.mark.timeout(600)
SCRIPT = CLUSTER / "slurm" / "raylift.sbatch"
SPOT = ("detector=bright_spot:BrightSpot", "link.min_track_s=0.2", "workers.clips_per_file=1", "decode.clip_mb=0.4")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    cluster = Slurm(tmp_path_factory.mktemp("slurm"), nodes=2)
    yield cluster
    cluster.end()


# In place of Ray and a job, which take a minute: what the script starts where, and what it does with signals.
STAND_INS = {
    "ray": """[ "$1" = health-check ] && exit 0
echo "$SLURMD_NODENAME $*" >> started.txt
exec sleep 600""",
    "python": "echo 127.0.0.1",
    "raylift": """echo "raylift $* cpus=$RAYLIFT_EXPECTED_CPUS at=$RAY_ADDRESS time=${SLURM_RESTART_COUNT:-0}"
trap 'echo saved; exit 130' TERM
[ "${SLURM_RESTART_COUNT:-0}" = 0 ] || exit 3
touch begun
for _ in $(seq 600); do sleep 0.2; done""",
}


def test_ray_starts_on_all_nodes_and_a_job_that_must_go_is_queued_again(slurm, tmp_path):
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    out = tmp_path / "out.txt"
    words = [f"--output={out}", f"--chdir={tmp_path}", str(SCRIPT), "label", "videos=a b", "output=labels"]
    job = slurm.run("sbatch", "--parsable", "--nodes=2", *words, PATH=path).strip()
    slurm.wait_for((tmp_path / "begun").exists)
    slurm.wait_for(lambda: (tmp_path / "started.txt").read_text().count("start") == 2)
    # What Slurm sends to the script before it takes the nodes.
    slurm.run("scancel", "--batch", "--signal=TERM", job)
    slurm.wait_for(lambda: slurm.state(job)[:2] == ("PENDING", 1))
    # Slurm waits two minutes before it starts a job again.
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    # Slurm looks at its queue every minute or two.
    slurm.wait_for(lambda: slurm.state(job)[0] in ("COMPLETED", "FAILED"), 220)
    assert slurm.state(job) == ("FAILED", 1, "3:0"), "the exit code is the job's own"
    port = 20000 + int(job) % 10000
    lines = [line for line in out.read_text().splitlines() if not line.startswith("slurmstepd")]
    whole = f"raylift label videos=a b output=labels cpus=2 at=127.0.0.1:{port}"
    requeued = "raylift.sbatch: out of time or pre-empted; queued again"
    assert lines == [f"{whole} time=0", "saved", requeued, f"{whole} time=1"]
    started = (tmp_path / "started.txt").read_text().splitlines()
    assert {(line.split()[0], "--head" in line) for line in started} == {("n0", True), ("n1", False)}
    assert not (Path(os.environ.get("TMPDIR", "/tmp")) / f"ray-{job}").exists()
    assert not list((tmp_path / "labels").iterdir()), "no mark is left"


@pytest.fixture
def submit(slurm, plugin_path, tmp_path):
    """Queues a job on both nodes; returns its number and the file of what it prints."""
    program = tmp_path / "bin" / "raylift"
    program.parent.mkdir()
    program.write_text(f'#!/usr/bin/env bash\nname=$1; shift\nexec {sys.executable} -m "jobs.$name" "$@"\n')
    program.chmod(0o755)

    def start(*words):
        variables = {
            "PATH": f"{program.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}",
            "MLFLOW_TRACKING_URI": new_store(tmp_path / "mlflow"),
        }
        out = tmp_path / "out.txt"
        queued = slurm.run("sbatch", "--parsable", "--nodes=2", f"--output={out}", str(SCRIPT), *words, **variables)
        return queued.strip(), out

    return start


@pytest.mark.ray
@pytest.mark.slow
def test_a_job_labels_on_all_nodes_and_goes_on_when_it_was_queued_again(slurm, submit, make_video, tmp_path):
    for number in range(4):
        make_video(tmp_path / "clips" / f"{number}.mp4")
    output = tmp_path / "shared" / "out"
    job, out = submit("label", f"videos={tmp_path}/clips", f"output={output}", *SPOT, "detector.delay_s=0.2")
    # The notice of a pre-emption, when something is on disk: what Slurm sends to the script before it takes the nodes.
    slurm.wait_for(lambda: storage.list_folder(f"{output}/detections", ".parquet"))
    slurm.run("scancel", "--batch", "--signal=TERM", job)
    slurm.wait_for(lambda: slurm.state(job)[1] == 1, 240)
    # Slurm waits two minutes before it starts a job again.
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    slurm.wait_for(lambda: slurm.state(job)[0] in ("COMPLETED", "FAILED"), 300)
    assert slurm.state(job) == ("COMPLETED", 1, "0:0"), out.read_text()
    log = out.read_text()
    assert "out of time or pre-empted; queued again" in log
    report = json.loads((output / "report.json").read_text())
    assert (report["videos"], report["videos_failed"], report["tracks"]) == (4, 0, 4)


@pytest.mark.ray
@pytest.mark.slow
def test_a_job_trains_on_both_nodes(slurm, submit, tmp_path):
    tracks = write(tmp_path / "mocap", person("a", 100), person("b", 60))
    train = [f"labeled={tracks}", f"output={tmp_path}/lifter", "lifter.filter_widths=[3,3]", "lifter.channels=16"]
    train += ["optimization.epochs=2", "optimization.batch_size=64", "resources.cpus_per_worker=1"]
    job, out = submit("train", *train, "resources.num_workers=2")
    slurm.wait_for(lambda: slurm.state(job)[0] in ("COMPLETED", "FAILED"), 400)
    assert slurm.state(job)[0] == "COMPLETED", out.read_text()
    assert (tmp_path / "lifter" / "last.pt").is_file()


@pytest.mark.parametrize(
    ("words", "variables", "message"),
    [
        ([], {}, "raylift.sbatch: give a job and its fields"),
        (["label"], {"RAYLIFT_IMAGE": "/nowhere/raylift.sif"}, "RAYLIFT_IMAGE=/nowhere/raylift.sif: is not there"),
        (["label", "output=out"], {}, "output=out: not all nodes see this folder"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path, words, variables, message):
    # A srun that finds nothing on the other nodes.
    (tmp_path / "srun").write_text("#!/usr/bin/env bash\nexit 1\n")
    (tmp_path / "srun").chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "1"}
    environment = os.environ | path | variables
    done = subprocess.run(
        ["bash", str(SCRIPT), *words], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
