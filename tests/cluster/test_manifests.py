"""What holds for all manifests together: they parse, fit each other, pin their images and hold no secret."""

import re

import kubernetes_validate
import pytest
import yaml
from manifests import (
    APPLIED,
    CLUSTER,
    COMPONENTS,
    KUBERAY,
    NETWORKS,
    YAML_FILES,
    build,
    containers,
    documents,
    pod_templates,
)

import schemas

PINNED = re.compile(r"^[\w.\-/]+:\d+\.\d+[\w.\-]*(@sha256:[0-9a-f]{64})?$")
SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|credential|access_key|api_?key)")
# What looks like a key whatever it is called: cloud keys, private keys, passwords in addresses, long random text.
SECRET_VALUE = re.compile(
    r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|gh[pousr]_\w{30,}|://[^/\s:@]+:(?!\$\()[^@\s]+@"
    r"|(?<![\w/.-])(?=[A-Za-z+/]*\d)[A-Za-z0-9+][A-Za-z0-9+/]{39,}={0,2}(?![\w/.-])"
)


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: str(file.relative_to(CLUSTER)))
def test_every_file_parses_and_says_what_it_is_for(file):
    contents = documents(file)
    assert contents
    # A JSON patch is a list, the launcher's file its own format; all else is a Kubernetes resource.
    for document in contents:
        assert isinstance(document, list) or "cluster_name" in document or {"apiVersion", "kind"} <= document.keys()


def test_every_file_is_used():
    used = {
        CLUSTER / "launcher" / "aws.yaml",
        CLUSTER / "kind" / "cluster.yaml",
    }
    for file in YAML_FILES:
        if file.name == "kustomization.yaml":
            (kustomization,) = documents(file)
            names = [
                *kustomization.get("resources", ()),
                *(patch["path"] for patch in kustomization.get("patches", []) if "path" in patch),
            ]
            used |= {file, *((file.parent / name).resolve() for name in names)}
    assert [file for file in YAML_FILES if file not in used] == []


@pytest.mark.parametrize("folder", APPLIED, ids=lambda folder: folder.name)
def test_kubernetes_takes_every_object(folder):
    for resource in build(folder):
        if resource["apiVersion"] != "ray.io/v1":
            kubernetes_validate.validate(resource, "1.34", strict=True)


@pytest.mark.parametrize("component", [*NETWORKS, KUBERAY / "components" / "quota"], ids=lambda folder: folder.name)
def test_components_of_the_namespace_open_what_they_name(component):
    whole = build(KUBERAY / "namespace", component)
    for resource in whole:
        kubernetes_validate.validate(resource, "1.34", strict=True)
    before = build(KUBERAY / "namespace")
    changed = [(r["kind"], r["metadata"]["name"]) for r in whole if r not in before]
    assert changed == ([("NetworkPolicy", "ray")] if component in NETWORKS else [("ResourceQuota", "raylift")])
    if component in NETWORKS:
        (old,) = [r["spec"] for r in before if r["metadata"]["name"] == "ray"]
        (new,) = [r["spec"] for r in whole if r["metadata"]["name"] == "ray"]
        assert new["ingress"] == old["ingress"], "nobody more comes in"
        assert new["egress"][: len(old["egress"])] == old["egress"]
        assert all(rule["ports"] for rule in new["egress"][len(old["egress"]) :])


def test_the_guide_names_every_component():
    guide = (CLUSTER.parent / "docs" / "cluster.md").read_text()
    for component in (*COMPONENTS, *NETWORKS):
        assert f"`{component.name}`" in guide


@pytest.mark.parametrize("folder", APPLIED, ids=lambda folder: folder.name)
def test_images_are_pinned(folder):
    images = [container["image"] for resource in build(folder) for container in containers(resource)]
    assert all(PINNED.match(image) for image in images), images
    ours = {image for image in images if "raylift" in image}
    assert all(image.partition("@")[0].endswith(f":{schemas.__version__}") for image in ours)


@pytest.mark.parametrize("folder", APPLIED, ids=lambda folder: folder.name)
def test_what_pods_refer_to_exists_or_is_optional(folder):
    everywhere = {
        (resource["kind"], resource["metadata"]["name"])
        for each in {folder, KUBERAY / "namespace", CLUSTER / "mlflow"}
        for resource in build(each)
    }
    for resource in build(folder):
        for template in pod_templates(resource):
            priority = template["spec"].get("priorityClassName")
            assert priority is None or ("PriorityClass", priority) in everywhere
            account = template["spec"].get("serviceAccountName")
            assert account is None or ("ServiceAccount", account) in everywhere
            for volume in template["spec"].get("volumes", []):
                claim = volume.get("persistentVolumeClaim")
                assert claim is None or ("PersistentVolumeClaim", claim["claimName"]) in everywhere
        for container in containers(resource):
            for source in container.get("envFrom", []):
                assert source["secretRef"]["optional"], "a cluster where pods have an identity has no such Secret"
            for variable in container.get("env", []):
                configured = variable.get("valueFrom", {}).get("configMapKeyRef")
                assert configured is None or ("ConfigMap", configured["name"]) in everywhere


def test_services_find_their_pods():
    resources = build(CLUSTER / "mlflow")
    labels = [t["metadata"]["labels"] for r in resources for t in pod_templates(r)]
    services = [resource for resource in resources if resource["kind"] == "Service"]
    assert {service["metadata"]["name"] for service in services} == {"mlflow", "mlflow-database"}
    for service in services:
        assert any(service["spec"]["selector"].items() <= have.items() for have in labels)


def test_jobs_ask_for_mlflow_where_its_service_is():
    (service,) = [r for r in build(CLUSTER / "mlflow") if r["kind"] == "Service" and r["metadata"]["name"] == "mlflow"]
    address = f"http://mlflow:{service['spec']['ports'][0]['port']}"
    job = build(KUBERAY / "overlays" / "train")[0]
    ray = list(containers(job["spec"]["rayClusterSpec"]))
    assert all({"name": "MLFLOW_TRACKING_URI", "value": address} in container["env"] for container in ray)
    (server,) = [c for r in build(CLUSTER / "mlflow") for c in containers(r) if c["name"] == "mlflow"]
    (hosts,) = [a.partition("=")[2] for a in server["args"] if a.startswith("--allowed-hosts=")]
    assert address.removeprefix("http://") in hosts.split(","), "MLflow refuses hosts that it is not told of"


def test_policies_cover_every_pod_and_no_other():
    policies = [r for r in build(KUBERAY / "namespace") if r["kind"] == "NetworkPolicy"]
    (everybody,) = [p for p in policies if p["spec"]["podSelector"] == {}]
    assert everybody["spec"]["policyTypes"] == ["Ingress"]
    assert "ingress" not in everybody["spec"], "nobody comes in, but by another policy"
    pods = {
        tuple(sorted(template["metadata"]["labels"].items()))
        for folder in (KUBERAY / "overlays" / "label", CLUSTER / "mlflow")
        for resource in build(folder)
        for template in pod_templates(resource)
    }
    selectors = [p["spec"]["podSelector"]["matchLabels"] for p in policies if p is not everybody]
    peers = [
        peer["podSelector"]["matchLabels"]
        for policy in policies
        for rule in (*policy["spec"].get("ingress", []), *policy["spec"].get("egress", []))
        for peer in (*rule.get("from", []), *rule.get("to", []))
        if "podSelector" in peer
    ]
    for labels in (*selectors, *peers):
        assert any(labels.items() <= dict(pod).items() for pod in pods), f"no pod has {labels}"
    assert all(("app.kubernetes.io/part-of", "raylift") in pod for pod in pods)


def test_the_dashboard_is_open_to_the_submitter_and_kuberay_only():
    (ray,) = [
        r for r in build(KUBERAY / "namespace") if r["kind"] == "NetworkPolicy" and r["metadata"]["name"] == "ray"
    ]
    nodes, jobs, metrics = ray["spec"]["ingress"]
    assert "ports" not in nodes
    assert nodes["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "ray"}}}]
    assert [port["port"] for port in jobs["ports"]] == [8265]
    assert [port["port"] for port in metrics["ports"]] == [8080]


def test_no_file_holds_a_secret():
    for file in sorted(path for path in CLUSTER.rglob("*") if path.is_file()):
        assert not SECRET_VALUE.search(file.read_text()), file
    for file in YAML_FILES:
        for document in documents(file):
            assert not isinstance(document, dict) or document.get("kind") != "Secret", f"{file}: people make Secrets"
            for name, value in _named_values(document):
                assert not SECRET_NAME.search(name) or "$(" in value or value in ("token", "required", ""), (
                    f"{file}: {name}={value}"
                )


def test_the_test_for_secrets_sees_them():
    for text in ("AKIA" + "A" * 16, "postgresql://u:hunter2@db/x", "x: " + "abCD1234" * 6):
        assert SECRET_VALUE.search(text)
    planted = yaml.safe_load("env: [{name: AWS_SECRET_ACCESS_KEY, value: hunter2}]")
    assert ("AWS_SECRET_ACCESS_KEY", "hunter2") in list(_named_values(planted))


def _named_values(value):
    """Every text by its key, and every variable of an environment by its name."""
    if isinstance(value, dict):
        if isinstance(value.get("name"), str) and isinstance(value.get("value"), str):
            yield value["name"], value["value"]
        for name, inner in value.items():
            # What these name is kept elsewhere.
            if name in ("secretKeyRef", "secretRef", "file_mounts"):
                continue
            if isinstance(inner, str):
                yield name, inner
            yield from _named_values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named_values(inner)
