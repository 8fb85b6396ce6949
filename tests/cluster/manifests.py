"""The manifests of cluster/, and what kustomize makes of them, without kustomize: only what our kustomizations use."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
KUBERAY = CLUSTER / "kuberay"
OVERLAYS = ("label", "train", "tune", "register")
# All that somebody applies with `kubectl apply -k`.
APPLIED = (
    KUBERAY / "namespace",
    *(KUBERAY / "overlays" / name for name in OVERLAYS),
    CLUSTER / "mlflow",
    CLUSTER / "kind",
)
YAML_FILES = sorted(CLUSTER.rglob("*.yaml"))

_KNOWN = {"apiVersion", "kind", "namespace", "nameSuffix", "resources", "patches", "images"}
# Kinds that belong to no namespace.
_GLOBAL = {"Namespace", "PersistentVolume"}


def documents(file: Path) -> list[Any]:
    """Every YAML document of a file."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document is not None]


def build(folder: Path) -> list[dict[str, Any]]:
    """The resources of a kustomization, in the order in which it names them."""
    (kustomization,) = documents(folder / "kustomization.yaml")
    assert set(kustomization) <= _KNOWN, f"{folder}: {set(kustomization) - _KNOWN}: not known here"
    found = [r for name in kustomization["resources"] for r in _resources((folder / name).resolve())]
    for patch in kustomization.get("patches", []):
        (operations,) = documents(folder / patch["path"])
        matching = [r for r in found if _matches(r, patch["target"])]
        assert len(matching) == 1, f"{folder}: the patch {patch['path']} fits {len(matching)} resources"
        apply_patch(matching[0], operations)
    for resource in found:
        if "namespace" in kustomization and resource["kind"] not in _GLOBAL:
            resource["metadata"]["namespace"] = kustomization["namespace"]
        resource["metadata"]["name"] += kustomization.get("nameSuffix", "")
        for container in containers(resource):
            for image in kustomization.get("images", []):
                container["image"] = _retagged(container["image"], image)
    return found


def apply_patch(document: Any, operations: list[dict[str, Any]]) -> None:
    """Apply a JSON patch (RFC 6902) in place: add, remove, replace and test."""
    for operation in operations:
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        holder = document
        for part in path:
            holder = holder[int(part) if isinstance(holder, list) else part]
        value = copy.deepcopy(operation.get("value"))
        place = last if isinstance(holder, dict) else len(holder) if last == "-" else int(last)
        match operation["op"]:
            case "add" if isinstance(holder, list):
                holder.insert(place, value)
            case "add":
                holder[place] = value
            case "remove":
                del holder[place]
            case "replace":
                assert holder[place] is not None
                holder[place] = value
            case "test":
                assert holder[place] == value, f"{operation['path']} is {holder[place]}, not {value}"
            case other:
                raise AssertionError(f"{other}: not known here")


def containers(value: Any) -> Iterator[dict[str, Any]]:
    """Every container anywhere in a resource."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "containers":
                yield from inner
            else:
                yield from containers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from containers(inner)


def pod_templates(value: Any) -> Iterator[dict[str, Any]]:
    """Every pod template anywhere in a resource."""
    if isinstance(value, dict):
        if "containers" in value.get("spec", {}):
            yield value
        for inner in value.values():
            yield from pod_templates(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from pod_templates(inner)


def quantity(text: str) -> float:
    """A Kubernetes quantity, such as 8Gi, as a number."""
    units = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    unit = text.lstrip("0123456789.")
    return float(text.removesuffix(unit) if unit else text) * (units[unit] if unit else 1)


def rayjob(folder: Path) -> dict[str, Any]:
    """The one RayJob of a kustomization."""
    (job,) = [resource for resource in build(folder) if resource["kind"] == "RayJob"]
    return job


def _resources(path: Path) -> list[dict[str, Any]]:
    # YAML's aliases are shared objects; a patch of one place must not reach the others.
    return build(path) if path.is_dir() else [_unshared(document) for document in documents(path)]


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unshared(inner) for name, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value


def _matches(resource: dict[str, Any], target: dict[str, str]) -> bool:
    return (
        resource["kind"] == target["kind"]
        and target.get("name", resource["metadata"]["name"]) == (resource["metadata"]["name"])
    )


def _retagged(image: str, change: dict[str, str]) -> str:
    name, _, tag = image.partition(":")
    if name != change["name"]:
        return image
    tag = change.get("newTag", tag)
    return change.get("newName", name) + (f":{tag}" if tag else "")
