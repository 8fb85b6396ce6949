"""Each RayJob is one that KubeRay takes, of pods that hold together, and runs a command that the job takes."""

import copy
import importlib
import inspect
import shlex

import pytest
from jsonschema import ValidationError
from kuberay_rules import VERSIONS, broken_rules, require_template, schema
from manifests import CLUSTER, KUBERAY, OVERLAYS, ROOT, build, containers, pod_templates, quantity, rayjob

from jobs.command_line.arguments import read_config
from jobs.command_line.job_list import job_names
from schemas.job_config import JobConfig

FOLDERS = {name: KUBERAY / "overlays" / name for name in OVERLAYS} | {"kind": CLUSTER / "kind"}
# Where the image keeps the code.
IMAGE_ROOT = "/raylift/"


@pytest.fixture(params=FOLDERS, scope="module")
def overlay(request):
    return request.param


@pytest.fixture(scope="module")
def job(overlay):
    return rayjob(FOLDERS[overlay])


@pytest.mark.parametrize("version", VERSIONS)
def test_kuberay_knows_every_field(job, version):
    schema("RayJob", version).validate(job)


def test_kuberays_controllers_take_the_job(job):
    assert broken_rules(job) == []


def test_kubernetes_takes_the_pods(job):
    for template in pod_templates(job):
        require_template(template)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.shutdownAfterJobFinish", True, "shutdownAfterJobFinish"),
        ("spec.preRunningDeadlineSeconds", "600", "not of type 'integer'"),
        ("spec.submitterConfig.backofLimit", 0, "backofLimit"),
        ("spec.rayClusterSpec.enableInTreeAutoscaler", True, "enableInTreeAutoscaler"),
        ("spec.rayClusterSpec.headGroupSpec.rayStartParams", {"num-cpus": 0}, "not of type 'string'"),
        ("spec.rayClusterSpec.headGroupSpec.template.spec.hostNetworks", True, "hostNetworks"),
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
        schema("RayJob", VERSIONS[-1]).validate(job)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shutdownAfterJobFinishes": True}, "exclude each other"),
        ({"suspend": True}, "needs shutdownAfterJobFinishes"),
        ({"ttlSecondsAfterFinished": 60}, "needs shutdownAfterJobFinishes"),
    ],
)
def test_the_rules_of_controllers_are_seen_when_broken(change, message):
    job = rayjob(FOLDERS["label"])
    job["spec"] |= change
    assert any(message in rule for rule in broken_rules(job))


def test_a_cluster_is_private_made_for_the_job_and_gone_after_it(job):
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    rules = [(rule["policy"], *rule["condition"].values()) for rule in spec["deletionStrategy"]["deletionRules"]]
    for end in ("SUCCEEDED", "FAILED"):
        assert ("DeleteWorkers", end, 0) in rules, "no GPU idles after the end"
        assert ("DeleteCluster", end, 600) in rules
    assert cluster["authOptions"] == {"mode": "token"}
    assert "enableInTreeAutoscaling" not in cluster
    assert cluster["headGroupSpec"].get("serviceType", "ClusterIP") == "ClusterIP"


def test_a_lost_head_ends_the_submitter_and_the_job_is_retried(job):
    spec = job["spec"]
    assert spec["submitterConfig"]["backoffLimit"] == 0
    assert spec["backoffLimit"] > 0
    for template in (spec["submitterPodTemplate"], spec["rayClusterSpec"]["headGroupSpec"]["template"]):
        assert template["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
        assert template["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
        affinity = template["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (term,) = affinity["nodeSelectorTerms"]
        assert {rule["operator"] for rule in term["matchExpressions"]} == {"NotIn"}


def test_the_driver_knows_what_it_may_expect(job):
    groups = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    has = {"CPU": 0.0, "GPU": 0.0}
    for group in groups:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        has["CPU"] += group["replicas"] * quantity(limits["cpu"])
        has["GPU"] += group["replicas"] * quantity(limits.get("nvidia.com/gpu", "0"))
    (head,) = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in head["env"]}
    assert {kind: float(variables.get(f"RAYLIFT_EXPECTED_{kind}S", 0)) for kind in has} == has
    assert variables["RAYLIFT_SUBMITTED"] == "1"


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
            "train_8_gpus": {"cpu": 0, "gpu": 1},
            "tune": {"cpu": 0, "gpu": 8},
            "register": {"cpu": 0, "gpu": 0},
            "kind": {"cpu": 1},
        }[overlay]
    )
    for group in groups.values():
        assert group["minReplicas"] == group["replicas"] <= group["maxReplicas"], "no autoscaler, and what Kueue wants"
        gpus = quantity(group["template"]["spec"]["containers"][0]["resources"]["limits"].get("nvidia.com/gpu", "0"))
        assert gpus == {"gpu": 8 if overlay == "train_8_gpus" else 1, "cpu": 0}[group["groupName"]]
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
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert all(container["securityContext"] == locked for container in containers(job))
    # No pod asks Kubernetes for anything.
    assert all(template["spec"]["automountServiceAccountToken"] is False for template in pod_templates(job))


def test_a_worker_fits_a_node_with_what_its_node_keeps():
    """Kubelet's reserve as GKE and EKS publish it, and 0.3 CPUs and 0.5 GiB for the pods of every node."""
    gib = 2**30

    def gke(gib_of_node):
        steps = [(4, 0.25), (4, 0.2), (8, 0.1), (112, 0.06)]
        kept = 0.1  # what eviction begins at
        for size, share in steps:
            kept += min(size, max(gib_of_node, 0)) * share
            gib_of_node -= size
        return kept

    nodes = {"cpu": (16, 32), "gpu": (8, 32)}
    for group in rayjob(FOLDERS["label"])["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        cpus, memory = nodes[group["groupName"]]
        (container,) = group["template"]["spec"]["containers"]
        asked = container["resources"]["requests"]
        eks = (255 + 11 * 58 + 100) / 1024  # up to 58 pods on machines of this size
        assert quantity(asked["memory"]) / gib <= memory - max(gke(memory), eks) - 0.5
        assert quantity(asked["cpu"]) <= cpus - 0.15 - 0.3
        assert quantity(asked["ephemeral-storage"]) <= 0.85 * 150 * gib, "of a disk of 150 GiB"
        kept = [volume["emptyDir"] for volume in group["template"]["spec"]["volumes"]]
        on_disk = sum(quantity(each["sizeLimit"]) for each in kept if each.get("medium") != "Memory")
        assert on_disk <= quantity(asked["ephemeral-storage"])


def test_the_quick_start_fits_the_machine_that_the_guide_names():
    # Of Kubernetes itself on kind: etcd, API server, controllers, scheduler, 2 of DNS, network; and KubeRay's operator.
    cpus, memory = 0.1 + 0.25 + 0.2 + 0.1 + 2 * 0.1 + 0.1 + 0.1, (100 + 2 * 70 + 50 + 512) * 2**20
    for resource in build(CLUSTER / "kind"):
        for group in _with_copies(resource):
            for container in containers(group):
                cpus += quantity(container["resources"]["requests"]["cpu"])
                memory += quantity(container["resources"]["requests"]["memory"])
    assert "4 CPUs and 12 GiB" in (ROOT / "docs" / "cluster.md").read_text()
    assert cpus <= 4
    assert memory <= 11 * 2**30, "the rest is the machine's own"


def _with_copies(resource):
    """The parts of a resource that hold containers, each as often as it runs."""
    if resource["kind"] != "RayJob":
        # A copy of the database is made at night.
        return [] if resource["kind"] == "CronJob" else [resource]
    spec = resource["spec"]
    groups = [group for group in spec["rayClusterSpec"]["workerGroupSpecs"] for _ in range(group["replicas"])]
    return [spec["submitterPodTemplate"], spec["rayClusterSpec"]["headGroupSpec"], *groups]


def test_the_command_is_one_that_the_job_takes(job, overlay):
    program, name, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "raylift"
    assert name == {"kind": "label", "train_8_gpus": "train"}.get(overlay, overlay)
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
        a_pod = quantity(limits["nvidia.com/gpu"])
        assert int(given["resources.cpus_per_worker"]) * a_pod == quantity(limits["cpu"])
        assert int(given.get("resources.num_workers", 1)) <= groups["gpu"]["replicas"] * a_pod
    if "workers.gpus_per_detector" in given:
        assert groups["cpu"]["replicas"] > 0, "who decodes?"
        assert groups["gpu"]["replicas"] > 0


def _config_class(name: str) -> type[JobConfig]:
    """The config of a job, found without the seconds that importing the job takes."""
    module = importlib.import_module(f"schemas.configs.{name}")
    (config_class,) = [
        member
        for label, member in inspect.getmembers(module, inspect.isclass)
        if label.lower() == f"{name.replace('_', '')}config" and issubclass(member, JobConfig)
    ]
    return config_class
