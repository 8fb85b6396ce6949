"""Composes the RayJob of a job: the manifest of cluster/kuberay/base, of which a copy lies beside this file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipelines.ray_cluster.expected_names import EXPECTED
from schemas.errors import UserError

PART_OF = "app.kubernetes.io/part-of"
JOB_LABEL, USER_ANNOTATION = "raylift.io/job", "raylift.io/user"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
# The groups of workers, in the order of the manifest.
_GROUPS = ("cpu", "gpu")


@dataclass(frozen=True)
class KubernetesOrder:
    """A job for Kubernetes.

    Attributes:
        job: Its name: label, train, …
        entrypoint: The command.
        image: The image of all pods.
        namespace: Where the RayJob is created.
        cpu_workers: Pods of the group cpu.
        gpu_workers: Pods of the group gpu, of one GPU each.
        variables: Environment variables of all processes.
        queue: The LocalQueue of Kueue that it waits in; None: it begins at once.
        user: Who submits it.
    """

    job: str
    entrypoint: str
    image: str
    namespace: str
    cpu_workers: int = 0
    gpu_workers: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)
    queue: str | None = None
    user: str = ""


def compose_rayjob(order: KubernetesOrder) -> dict[str, Any]:
    """The RayJob, as `kubectl create` takes it; Kubernetes completes its name."""
    manifest = yaml.safe_load(Path(__file__).with_name("rayjob.yaml").read_text())
    manifest["metadata"] = {
        "generateName": f"raylift-{order.job.replace('_', '-')}-",
        "namespace": order.namespace,
        "labels": {PART_OF: "raylift", JOB_LABEL: order.job},
        "annotations": {USER_ANNOTATION: order.user},
    }
    spec = manifest["spec"]
    spec["entrypoint"] = order.entrypoint
    cluster = spec["rayClusterSpec"]
    for group, size in zip(cluster["workerGroupSpecs"], (order.cpu_workers, order.gpu_workers), strict=True):
        group.update({"replicas": size, "minReplicas": size, "maxReplicas": max(size, group["maxReplicas"])})
    head, *workers = (g["template"]["spec"] for g in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]))
    for pod in (spec["submitterPodTemplate"]["spec"], head, *workers):
        for container in pod["containers"]:
            container["image"] = order.image
    head_variables = {"RAYLIFT_IMAGE": order.image}  # a container cannot find out its image's name
    head_variables |= {EXPECTED[kind]: f"{number:g}" for kind, number in offered(order).items() if number}
    for pod, own_variables in ((head, head_variables), *((pod, {}) for pod in workers)):
        (container,) = pod["containers"]
        # The list is copied, because what the manifest shares between pods is one object here.
        variables = (
            {entry["name"]: entry["value"] for entry in container["env"]} | dict(order.variables) | own_variables
        )
        container["env"] = [{"name": name, "value": value} for name, value in variables.items()]
    if order.queue:
        # This is what the component kueue of cluster/kuberay does.
        manifest["metadata"]["labels"][QUEUE_LABEL] = order.queue
        spec |= {"suspend": True, "shutdownAfterJobFinishes": True}
        del spec["deletionStrategy"], spec["preRunningDeadlineSeconds"]
    return manifest


def scheduled(job: dict[str, Any], order: KubernetesOrder, schedule: str) -> dict[str, Any]:
    """A RayCronJob, which runs a job at the times of a line of cron; each run continues from the last one's output."""
    metadata = {key: value for key, value in job["metadata"].items() if key != "generateName"}
    name = f"raylift-{order.job.replace('_', '-')}"
    spec = {"schedule": schedule, "jobTemplate": job["spec"]}
    return {"apiVersion": "ray.io/v1", "kind": "RayCronJob", "metadata": {"name": name, **metadata}, "spec": spec}


def offered(order: KubernetesOrder) -> dict[str, float]:
    """The resources that Ray will see on the cluster: whole CPUs and GPUs of all workers."""
    manifest = yaml.safe_load(Path(__file__).with_name("rayjob.yaml").read_text())
    groups = manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    resources = {"CPU": 0.0, "GPU": 0.0}
    for group, size in zip(groups, (order.cpu_workers, order.gpu_workers), strict=True):
        (container,) = group["template"]["spec"]["containers"]
        limits = container["resources"]["limits"]
        resources["CPU"] += size * float(limits["cpu"])
        resources["GPU"] += size * float(limits.get("nvidia.com/gpu", 0))
    return resources


def require_fit(order: KubernetesOrder, workers: int, cpus_each: float, gpus_each: float) -> None:
    """Check that processes of a job fit the pods that are asked for, so that none waits for ever.

    Args:
        order: The job.
        workers: How many processes run at a time.
        cpus_each: CPUs of each.
        gpus_each: GPUs of each.

    Raises:
        UserError: The processes do not fit.
    """
    if gpus_each > 1:
        raise UserError(f"kubernetes: a process of {gpus_each:g} GPUs fits no pod: pods have one GPU each; ask for 1")
    has = offered(order)
    if has["GPU"] < workers * gpus_each or (workers and has["CPU"] < cpus_each * workers):
        processes = f"{workers} process{'es' * (workers != 1)} of {cpus_each:g} CPUs and {gpus_each:g} GPUs"
        raise UserError(
            f"kubernetes: {processes} find no room in cpu_workers={order.cpu_workers} gpu_workers={order.gpu_workers}, "
            f"which have {has['CPU']:g} CPUs and {has['GPU']:g} GPUs; give more pods"
        )
