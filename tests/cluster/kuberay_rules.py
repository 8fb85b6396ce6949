"""What KubeRay takes: its own schemas (../shared/reference/kubernetes), made strict, and rules of its controllers.

No schema holds those rules: KubeRay 1.6 and 1.7 check them when they meet an object (utils/validation.go), after an API
server without its webhook has taken it.
"""

import gzip
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from manifests import ROOT

FOLDER = ROOT.parent / "shared" / "reference" / "kubernetes"
VERSIONS = ("1.6.2", "1.7.0")
KUBERNETES = "1.34"
KINDS = {"RayJob": "rayjobs", "RayCluster": "rayclusters", "RayCronJob": "raycronjobs"}
_ORDER = ("DeleteWorkers", "DeleteCluster", "DeleteSelf")


@cache
def schema(kind: str, version: str) -> Draft202012Validator:
    """The strict schema of a kind, as a version of KubeRay has it; skips where it is not at hand."""
    file = FOLDER / f"{KINDS[kind]}-v{version}.yaml.gz"
    if not file.is_file():
        pytest.skip("../shared/reference/kubernetes is not here: KubeRay's schemas are not part of the project")
    # Megabytes, for which the loader in Python takes ten seconds.
    crd = yaml.load(gzip.decompress(file.read_bytes()), yaml.CSafeLoader)
    (v1,) = [each for each in crd["spec"]["versions"] if each["name"] == "v1"]
    return Draft202012Validator(_strict(v1["schema"]["openAPIV3Schema"]))


def _strict(value: Any) -> Any:
    """The same with fields that are not named refused, which an API server drops in silence."""
    if isinstance(value, list):
        return [_strict(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    fields = {name: _strict(inner) for name, inner in value.items()}
    if isinstance(fields.get("properties"), dict) and "additionalProperties" not in fields and "type" in fields:
        fields["additionalProperties"] = bool(value.get("x-kubernetes-preserve-unknown-fields"))
    if fields.pop("x-kubernetes-int-or-string", False):
        fields.pop("type", None)
    return fields


def broken_rules(job: dict[str, Any]) -> list[str]:
    """The rules that a RayJob breaks."""
    spec, broken = job["spec"], []
    cluster = spec.get("rayClusterSpec", {})
    rules = spec.get("deletionStrategy", {}).get("deletionRules", [])
    grows = cluster.get("enableInTreeAutoscaling", False)
    if rules and spec.get("shutdownAfterJobFinishes"):
        broken.append("shutdownAfterJobFinishes and deletionRules exclude each other")
    if spec.get("ttlSecondsAfterFinished", 0) and not spec.get("shutdownAfterJobFinishes"):
        broken.append("ttlSecondsAfterFinished needs shutdownAfterJobFinishes")
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        broken.append("a suspended job needs shutdownAfterJobFinishes")
    by_status: dict[str, dict[str, int]] = {}
    for rule in rules:
        condition, policy = rule["condition"], rule["policy"]
        if ("jobStatus" in condition) == ("jobDeploymentStatus" in condition):
            broken.append("a condition is jobStatus or jobDeploymentStatus")
        if policy == "DeleteWorkers" and grows:
            broken.append("DeleteWorkers and an autoscaler exclude each other")
        of_status = by_status.setdefault(condition.get("jobStatus", condition.get("jobDeploymentStatus")), {})
        if policy in of_status:
            broken.append(f"two rules for {policy}")
        of_status[policy] = condition["ttlSeconds"]
    for of_status in by_status.values():
        times = [of_status[policy] for policy in _ORDER if policy in of_status]
        if times != sorted(times):
            broken.append("workers go before their cluster")
    for group in cluster.get("workerGroupSpecs", []):
        if not group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]:
            broken.append(f"{group['groupName']}: minReplicas <= replicas <= maxReplicas")
    return broken


def require_template(template: dict[str, Any]) -> None:
    """Check a pod template as strictly as an API server does for `kubectl apply --validate=strict`."""
    metadata = {"name": "checked", "namespace": "raylift"}
    document = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template}
    kubernetes_validate.validate(document, KUBERNETES, strict=True)
