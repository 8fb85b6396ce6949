"""The components of cluster/kuberay: each makes jobs that KubeRay takes, wherever it is named."""

import shutil

import pytest
from kuberay_rules import VERSIONS, broken_rules, require_template, schema
from manifests import COMPONENTS, KUBERAY, pod_templates, rayjob

OVERLAYS = KUBERAY / "overlays"
LABEL = OVERLAYS / "label"
OF_JOBS = [component for component in COMPONENTS if component.name != "quota"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("component", OF_JOBS, ids=lambda folder: folder.name)
def test_kuberay_takes_jobs_with_components(component, version):
    for name in ("label", "register"):
        job = rayjob(OVERLAYS / name, component)
        schema("RayJob", version).validate(job)
        assert broken_rules(job) == []
        for template in pod_templates(job):
            require_template(template)


@pytest.mark.parametrize("component", OF_JOBS, ids=lambda folder: folder.name)
def test_a_component_does_the_same_where_the_guide_names_it(component, tmp_path):
    # In the overlay itself, whose own patches are then applied after those of the component.
    shutil.copytree(KUBERAY, tmp_path / "kuberay")
    folder = tmp_path / "kuberay" / "overlays" / "label"
    with (folder / "kustomization.yaml").open("a") as file:
        file.write(f"components:\n  - ../../components/{component.name}\n")
    assert rayjob(folder) == rayjob(LABEL, component)


def test_an_autoscaler_alone_holds_a_token():
    job = rayjob(LABEL, KUBERAY / "components" / "elastic")
    cluster = job["spec"]["rayClusterSpec"]
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert cluster["autoscalerOptions"]["securityContext"] == locked
    assert cluster["headGroupSpec"]["template"]["spec"]["automountServiceAccountToken"] is True
    for group in cluster["workerGroupSpecs"]:
        assert group["template"]["spec"]["automountServiceAccountToken"] is False
        assert group["minReplicas"] == group["replicas"] < group["maxReplicas"]
