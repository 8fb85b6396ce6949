"""The Ray cluster that stays: KubeRay takes it, its pods are those of jobs, and Ray's own autoscaler can size it."""

import copy
from typing import Any

import pytest
from kuberay_rules import VERSIONS, require_template, schema
from manifests import KUBERAY, LASTING, build, pod_templates, rayjob
from ray.autoscaler._private.kuberay.node_provider import IKubernetesHttpApiClient
from ray.autoscaler.v2.instance_manager.cloud_providers.kuberay.cloud_provider import KubeRayProvider

ELASTIC = KUBERAY / "components" / "elastic"


@pytest.fixture(scope="module")
def lasting():
    (only,) = build(LASTING)
    assert only["kind"] == "RayCluster", "the job that it is made of is left out"
    return only


@pytest.mark.parametrize("version", VERSIONS)
def test_kuberay_knows_every_field(lasting, version):
    schema("RayCluster", version).validate(lasting)


def test_kubernetes_takes_the_pods(lasting):
    for template in pod_templates(lasting):
        require_template(template)


def test_its_pods_are_those_of_jobs_but_for_the_size_of_the_head(lasting):
    of_jobs = rayjob(KUBERAY / "overlays" / "label", ELASTIC)["spec"]["rayClusterSpec"]
    spec = copy.deepcopy(lasting["spec"])
    workers = [group["template"] for group in spec["workerGroupSpecs"]]
    assert workers == [group["template"] for group in of_jobs["workerGroupSpecs"]]
    (head,), (head_of_jobs,) = (each["headGroupSpec"]["template"]["spec"]["containers"] for each in (spec, of_jobs))
    assert spec["authOptions"] == {"mode": "token"}
    # Only a job has been promised a size, and only the head of a cluster that stays serves several drivers.
    head_of_jobs["env"] = [each for each in head_of_jobs["env"] if "EXPECTED" not in each["name"]]
    for container in (head, head_of_jobs):
        container.pop("resources")
    assert head == head_of_jobs


class ScriptedKubernetes(IKubernetesHttpApiClient):
    """An API server with one RayCluster, whose pods come and go as KubeRay's controller would have it.

    Args:
        cluster: The RayCluster as it was applied.
    """

    def __init__(self, cluster):
        self.cluster, self._made = copy.deepcopy(cluster), 0
        self.pods = {"head": self._pod("head", "headgroup", "head")}
        self.reconcile()

    def get(self, path):
        if path.startswith("rayclusters/"):
            return copy.deepcopy(self.cluster)
        if path.startswith("pods?"):
            return {"metadata": {"resourceVersion": "1"}, "items": list(self.pods.values())}
        raise AssertionError(f"the autoscaler asks for {path}")

    def patch(self, path, payload: Any, content_type="application/json-patch+json"):
        assert (path, content_type) == (
            f"rayclusters/{self.cluster['metadata']['name']}",
            "application/json-patch+json",
        )
        for change in payload:
            *parts, last = change["path"].strip("/").split("/")
            place: Any = self.cluster
            for part in parts:
                place = place[int(part)] if isinstance(place, list) else place[part]
            place[last] = change["value"]
        self.reconcile()
        return self.cluster

    def delete(self, path):
        raise AssertionError(f"the autoscaler removes {path}")

    def reconcile(self):
        """Remove the pods that are to go, and start what a group lacks."""
        for group in self.cluster["spec"]["workerGroupSpecs"]:
            for name in group.get("scaleStrategy", {}).get("workersToDelete", []):
                self.pods.pop(name, None)
            have = sum(pod["metadata"]["labels"]["ray.io/group"] == group["groupName"] for pod in self.pods.values())
            for _ in range(group["replicas"] - have):
                self._made += 1
                name = f"{group['groupName']}-{self._made}"
                self.pods[name] = self._pod(name, group["groupName"], "worker")

    def _pod(self, name, group, kind):
        labels = {"ray.io/cluster": "raylift", "ray.io/node-type": kind, "ray.io/group": group}
        running = {"containerStatuses": [{"state": {"running": {}}}], "phase": "Running", "podIP": "10.0.0.1"}
        return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [{}]}, "status": running}


def test_rays_autoscaler_adds_and_removes_machines_of_the_manifest(lasting):
    kubernetes = ScriptedKubernetes(lasting)
    provider = KubeRayProvider("raylift", {"namespace": "raylift"}, None, kubernetes)  # pyright: ignore[reportArgumentType]

    def workers():
        instances = provider.get_non_terminated().values()
        return sorted(instance.cloud_instance_id for instance in instances if instance.cloud_instance_id != "head")

    assert workers() == ["cpu-1"], "one is always there"
    provider.launch({"cpu": 2, "gpu": 1}, "first")
    assert workers() == ["cpu-1", "cpu-2", "cpu-3", "gpu-4"]
    provider.launch({"cpu": 2, "gpu": 1}, "first")
    assert len(workers()) == 4, "the same request once more changes nothing"
    provider.terminate(["cpu-2", "gpu-4"], "second")
    assert workers() == ["cpu-1", "cpu-3"]
    provider.launch({"gpu": 99}, "third")
    (error,) = provider.poll_errors()
    assert "maxReplicas" in str(error)
    assert len(workers()) == 2 + 16
