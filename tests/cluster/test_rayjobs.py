"""Each RayJob is one that KubeRay takes, of pods that hold together, and runs a command that the job takes."""

import copy
import importlib
import inspect
import shlex
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from manifests import CLUSTER, KUBERAY, OVERLAYS, ROOT, containers, pod_templates, quantity, rayjob

from jobs.command_line.arguments import read_config
from jobs.command_line.job_list import job_names
from schemas.job_config import JobConfig

FOLDERS = {name: KUBERAY / "overlays" / name for name in OVERLAYS} | {"kind": CLUSTER / "kind"}
SCHEMA = Draft202012Validator(yaml.safe_load(Path(__file__).with_name("rayjob_crd.yaml").read_text()))
# Where the image keeps the code.
IMAGE_ROOT = "/raylift/"


@pytest.fixture(params=FOLDERS, scope="module")
def overlay(request):
    return request.param


@pytest.fixture(scope="module")
def job(overlay):
    return rayjob(FOLDERS[overlay])


def test_kuberay_knows_every_field(job):
    SCHEMA.validate(job)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.shutdownAfterJobFinish", True, "shutdownAfterJobFinish"),
        ("spec.ttlSecondsAfterFinished", "600", "not of type 'integer'"),
        ("spec.shutdownAfterJobFinishes", False, "True was expected"),
        ("spec.rayClusterSpec.autoscalerOptions.version", "v3", "'v3' is not one of"),
        ("spec.rayClusterSpec.rayVersion", "2.60", "does not match"),
        ("spec.rayClusterSpec.headGroupSpec.rayStartParams", {"num-cpus": 0}, "not of type 'string'"),
        ("spec.rayClusterSpec.headGroupSpec.template.spec.hostNetwork", True, "hostNetwork"),
    ],
)
def test_the_schema_is_strict(path, value, message):
    job = copy.deepcopy(rayjob(FOLDERS["label"]))
    *parts, last = path.split(".")
    holder = job
    for part in parts:
        holder = holder[part]
    holder[last] = value
    with pytest.raises(ValidationError, match=message):
        SCHEMA.validate(job)


def test_a_cluster_is_private_made_for_the_job_and_gone_after_it(job):
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert spec["shutdownAfterJobFinishes"]
    assert spec["ttlSecondsAfterFinished"] > 0
    assert spec["backoffLimit"] > 0
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["headGroupSpec"].get("serviceType", "ClusterIP") == "ClusterIP"


def test_the_head_does_no_work(job):
    params = job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]
    assert (params["num-cpus"], params["num-gpus"]) == ("0", "0")


def test_groups_begin_at_the_size_that_the_job_will_fill(job, overlay):
    groups = {group["groupName"]: group for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]}
    sizes = {name: group["replicas"] for name, group in groups.items()}
    assert (
        sizes
        == {
            "label": {"cpu": 4, "gpu": 4},
            "train": {"cpu": 0, "gpu": 4},
            "tune": {"cpu": 0, "gpu": 8},
            "register": {"cpu": 0, "gpu": 0},
            "kind": {"cpu": 1},
        }[overlay]
    )
    for group in groups.values():
        assert group["minReplicas"] == 0 <= group["replicas"] == group["maxReplicas"]
        gpus = quantity(group["template"]["spec"]["containers"][0]["resources"]["limits"].get("nvidia.com/gpu", "0"))
        assert gpus == (1 if group["groupName"] == "gpu" else 0)
        if not gpus:
            assert group["rayStartParams"]["num-gpus"] == "0", "the image shows a pod all GPUs of its machine"


def test_memory_holds_the_object_store(job):
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        (container,) = spec["containers"]
        limits, requests = container["resources"]["limits"], container["resources"]["requests"]
        store = int(group["rayStartParams"]["object-store-memory"])
        (volume,) = [v for v in spec["volumes"] if v.get("emptyDir", {}).get("medium") == "Memory"]
        assert {"name": volume["name"], "mountPath": "/dev/shm"} in container["volumeMounts"]
        assert store <= quantity(volume["emptyDir"]["sizeLimit"]), "Ray would keep its store on the disk"
        assert 2 * store <= quantity(limits["memory"]), "the store's pages are the container's memory"
        assert requests["memory"] == limits["memory"], "a node that lends memory kills Ray when it wants it back"


def test_volumes_and_mounts_fit(job):
    for template in pod_templates(job):
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
        for container in template["spec"]["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


def test_pods_may_do_nothing_but_compute(job):
    """What the namespace enforces: Kubernetes' "restricted" level."""
    assert len(list(pod_templates(job))) == 2 + len(job["spec"]["rayClusterSpec"]["workerGroupSpecs"])
    for template in pod_templates(job):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["restartPolicy"] == "Never"
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert all(container["securityContext"] == locked for container in containers(job))
    assert job["spec"]["rayClusterSpec"]["autoscalerOptions"]["securityContext"] == locked
    # Only the head, whose autoscaler asks Kubernetes for nodes, holds a token for it.
    workers = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    for template in (job["spec"]["submitterPodTemplate"], *(group["template"] for group in workers)):
        assert template["spec"]["automountServiceAccountToken"] is False


def test_the_command_is_one_that_the_job_takes(job, overlay):
    program, name, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "raylift"
    assert name == ("label" if overlay == "kind" else overlay)
    assert name in job_names()
    recipes = [argument for argument in arguments if argument.endswith(".yaml")]
    assert all(recipe.startswith(IMAGE_ROOT) for recipe in recipes), "the driver starts in any folder"
    here = [a.replace(IMAGE_ROOT, f"{ROOT}/") if a in recipes else a for a in arguments]
    config = read_config(_config_class(name), here)
    for field in ("videos", "output", "labeled", "unlabeled", "model", "data"):
        address = getattr(config, field, None)
        if isinstance(address, str):
            assert address.startswith("/corpus/" if overlay == "kind" else "s3://"), "gone with the cluster"


def test_the_jobs_resources_are_those_of_the_groups(overlay):
    job = rayjob(FOLDERS[overlay])
    arguments = shlex.split(job["spec"]["entrypoint"])
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    groups = {group["groupName"]: group for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]}
    if given.get("resources.use_gpu") == "true":
        limits = groups["gpu"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert int(given["resources.cpus_per_worker"]) == quantity(limits["cpu"])
        assert int(given.get("resources.num_workers", 1)) <= groups["gpu"]["replicas"]
    if "workers.gpus_per_detector" in given:
        assert groups["cpu"]["replicas"] > 0, "who decodes?"
        assert groups["gpu"]["replicas"] > 0


def _config_class(name: str) -> type[JobConfig]:
    """The config of a job, found without the seconds that importing the job takes."""
    module = importlib.import_module(f"schemas.configs.{name}")
    (found,) = [
        member
        for label, member in inspect.getmembers(module, inspect.isclass)
        if label.lower() == f"{name.replace('_', '')}config" and issubclass(member, JobConfig)
    ]
    return found
