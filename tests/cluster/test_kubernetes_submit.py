"""`raylift submit … kubernetes=`: what is printed is what KubeRay takes, and kubectl applies and follows it."""

import os
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from api_server import NAME, ApiServer
from kuberay_rules import VERSIONS, broken_rules, require_template, schema
from manifests import KUBERAY, ROOT, pod_templates, rayjob

from jobs import submit
from jobs.command_line import main
from jobs.command_line.submit_arguments import read_submit_config
from pipelines.ray_cluster.submitted_jobs import SubmittedJob
from schemas import __version__
from schemas.errors import UserError

IMAGE = f"image=registry.example.com/team/raylift:{__version__}"
LABEL = ["label", "videos=s3://b/clips", "output=s3://b/out"]
TRAIN = ["train", "labeled=s3://b/tracks", "output=s3://b/lifter", "data.validation_subjects=[S1]"]
GPUS = ["detector=vitpose", "workers.gpus_per_detector=1", "workers.cpus_per_detector=2"]


def printed(*words, **environment):
    config = read_submit_config([*words, "kubernetes=-", IMAGE])
    return submit.compose_rayjob(submit.compose_for_kubernetes(config, environment))


@pytest.mark.parametrize("more", [[], ["queue=lab"], ["namespace=team-b"]], ids=["plain", "queue", "namespace"])
@pytest.mark.parametrize(
    "words",
    [
        [*LABEL, "cpu_workers=4"],
        [*LABEL, *GPUS, "cpu_workers=4", "gpu_workers=4"],
        [*TRAIN, "resources.use_gpu=true", "resources.num_workers=4", "gpu_workers=4"],
        [*TRAIN, "cpu_workers=1", "env=[WANTED]"],
        ["register", "model=s3://b/best.pt", "name=lifter"],
    ],
    ids=["label", "label-gpu", "train-gpu", "train", "register"],
)
def test_everything_printed_is_taken(words, more):
    job = printed(*words, *more, WANTED="a: b #1", MLFLOW_TRACKING_URI="http://mlflow:5000")
    assert yaml.safe_load(yaml.safe_dump(job)) == job
    for version in VERSIONS:
        schema("RayJob", version).validate(job)
    assert broken_rules(job) == []
    for template in pod_templates(job):
        require_template(template)


def test_a_job_may_run_every_night(capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    words = [*LABEL, "kubernetes=-", IMAGE, "cpu_workers=4", "schedule=0 3 * * *"]
    assert submit.main(read_submit_config(words)) == 0
    made = yaml.safe_load(capsys.readouterr().out)
    schema("RayCronJob", "1.7.0").validate(made)
    assert made["spec"]["schedule"] == "0 3 * * *"
    assert broken_rules({"spec": made["spec"]["jobTemplate"]}) == []
    with pytest.raises(UserError, match="schedule"):
        read_submit_config([*LABEL, "schedule=nightly"])


def test_the_manifest_of_the_package_is_that_of_the_cluster_folder():
    assert (ROOT / "pipelines/kubernetes/rayjob.yaml").read_text() == (KUBERAY / "base" / "rayjob.yaml").read_text()


def test_it_is_what_the_overlay_makes():
    overlay = rayjob(KUBERAY / "overlays" / "train")
    command = shlex.split(overlay["spec"]["entrypoint"])[1:]
    job = printed(*command, "gpu_workers=4", MLFLOW_TRACKING_URI="http://mlflow:5000")
    image = IMAGE.removeprefix("image=")
    assert job["metadata"]["generateName"] == "raylift-train-"
    for made in (job, overlay):
        made.pop("metadata")
        made["spec"].pop("entrypoint")
        for template in pod_templates(made):
            for container in template["spec"]["containers"]:
                assert made is overlay or container["image"] == image
                container["image"] = image
                # What KubeRay is told more than once is told once here.
                container.get("env", []).sort(key=lambda variable: variable["name"])
        head = made["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
        # Only `submit` knows the name of the image when it writes the manifest.
        own = ("RAYLIFT_SUBMITTED", "RAYLIFT_ORDERED_BY", "RAYLIFT_IMAGE")
        head["env"] = [variable for variable in head["env"] if variable["name"] not in own]
    for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        container["env"] = [variable for variable in container["env"] if variable["name"] not in own]
    assert job == overlay


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*LABEL, "kubernetes=-"], "kubernetes: needs the image of Raylift"),
        ([*LABEL, "kubernetes=-", "image=r/raylift:9.9.9"], f"is version 9.9.9, this is {__version__}"),
        (
            [*LABEL, "kubernetes=-", f"image=r:5000/raylift:9.9.9@sha256:{'0' * 64}"],
            f"is version 9.9.9, this is {__version__}",
        ),
        ([*LABEL, "kubernetes=-", IMAGE, "address=http://head:8265"], "kubernetes: takes no address"),
        (["label", "videos=x", "output=out", "kubernetes=-", IMAGE], "output=out: on a cluster a relative path"),
        (
            [*LABEL, *GPUS, "kubernetes=-", IMAGE, "cpu_workers=1"],
            "1 process of 1 CPUs and 1 GPUs find no room in cpu_workers=1",
        ),
        ([*LABEL, "workers.gpus_per_detector=2", "kubernetes=-", IMAGE, "gpu_workers=2"], "fits no pod"),
        (
            [*TRAIN, "resources.use_gpu=true", "resources.num_workers=8", "kubernetes=-", IMAGE, "gpu_workers=4"],
            "8 processes of",
        ),
        ([*LABEL, "kubernetes=-", IMAGE], "find no room in cpu_workers=0 gpu_workers=0"),
        (["stop", "--all", "kubernetes=lab"], "id=--all: is no name of a job"),
        (["list", "kubernetes=-"], "kubernetes=-: only prints a job"),
    ],
)
def test_what_would_fail_there_is_told_here(words, message, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UserError) as wrong:
        submit.main(read_submit_config(words))
    assert message in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_server_of_this_machine_is_not_sent():
    with pytest.raises(UserError, match="which the cluster at kubernetes=- does not reach"):
        printed(*LABEL, MLFLOW_TRACKING_URI="http://127.0.0.1:5000")


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    """Starts a scripted API server, which the real kubectl finds by its context `lab`."""
    started = []

    def start(*states, **more):
        started.append(ApiServer(tmp_path, states or ({},), **more))
        monkeypatch.setenv("KUBECONFIG", str(started[-1].config))
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("HOME", str(tmp_path))  # kubectl keeps what it discovers
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monkeypatch.setattr("pipelines.kubernetes.kubectl._PAUSE_S", 0.0)
        return started[-1]

    yield start
    for server in started:
        server.close()


RUNNING = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "startTime": "2026-11-29T06:00:00Z"}


def test_a_job_is_created_and_followed_to_its_exit_code(cluster, capsys):
    failed = RUNNING | {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "endTime": "2026-11-29T06:01:00Z"}
    message = {"message": "Job entrypoint command failed with exit code 2, last available logs"}
    server = cluster({}, RUNNING, RUNNING, failed | message, log="frames 1\nframes 2\n")
    code = main.run_job("submit", [*LABEL, "kubernetes=lab", IMAGE, "cpu_workers=1"])
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == f"submitted {NAME} to lab\nframes 1\nframes 2\n", "told once, however often kubectl looked"
    assert f"submit: {NAME} failed: exit code 2" in err
    (job,) = server.created
    assert job["metadata"]["generateName"] == "raylift-label-"


def test_jobs_are_listed_shown_and_removed(cluster, capsys):
    server = cluster(RUNNING, log="at work\n")
    for words in (["list"], ["status", NAME], ["logs", NAME, "follow=false"]):
        assert main.run_job("submit", [*words, "kubernetes=lab"]) == 0
    out = capsys.readouterr().out
    assert out.count(NAME) == 2
    assert "state    running" in out
    assert "at work" in out
    main.run_job("submit", ["stop", NAME, "kubernetes=lab"])
    assert server.deleted


def test_jobs_of_a_ray_cluster_and_of_kubernetes_are_one_list(cluster, capsys, monkeypatch):
    cluster(RUNNING)

    class RayServer:
        def __init__(self, address):
            self.address = address

        def jobs(self):
            return [SubmittedJob("label-9", "label", "me", "running", "…", "", None, 1.0, None)]

    monkeypatch.setattr("pipelines.ray_cluster.job_client.JobServer", RayServer)
    monkeypatch.setenv("COLUMNS", "200")
    assert main.run_job("submit", ["list", "address=http://head:8265", "kubernetes=lab"]) == 0
    _, newest, oldest = capsys.readouterr().out.splitlines()
    assert (NAME in newest, "kubernetes=lab" in newest) == (True, True)
    assert ("label-9" in oldest, "address=http://head:8265" in oldest) == (True, True)


@pytest.mark.parametrize(
    ("words", "more", "code", "message"),
    [
        (["list", "kubernetes=nowhere"], {}, 2, "kubernetes=nowhere: kubectl has no such context"),
        (["status", "raylift-x", "kubernetes=lab"], {}, 2, "raylift submit list kubernetes=lab names what is there"),
        (
            [*LABEL, "kubernetes=lab", IMAGE, "cpu_workers=1"],
            {"unknown_field": "spec.preRunningDeadlineSeconds"},
            1,
            "KubeRay there is older than 1.6 and does not know spec.preRunningDeadlineSeconds",
        ),
    ],
)
def test_what_the_cluster_says_is_one_line(cluster, capsys, words, more, code, message):
    cluster(**more)
    assert main.run_job("submit", words) == code
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_cluster_that_does_not_answer_is_one_line(cluster, capsys):
    cluster().close()
    assert main.run_job("submit", ["list", "kubernetes=lab"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("submit: kubernetes=lab: ")
    assert err.count("\n") == 1
