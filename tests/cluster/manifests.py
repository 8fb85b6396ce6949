"""The manifests of cluster/ as kustomize builds them: kubectl's, a wheel of the extra `dev`, which asks no cluster."""

import copy
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
KUBERAY = CLUSTER / "kuberay"
KUBECTL = Path(sys.executable).with_name("kubectl")
OVERLAYS = ("label", "train", "train_8_gpus", "tune", "register")
# The Ray cluster that stays, for jobs that `submit` sends.
LASTING = KUBERAY / "overlays" / "cluster"
# All that somebody applies with `kubectl apply -k`.
APPLIED = (
    KUBERAY / "namespace",
    *(KUBERAY / "overlays" / name for name in OVERLAYS),
    LASTING,
    CLUSTER / "mlflow",
    CLUSTER / "kind",
)
# What is named under `components:` in an overlay; those of networks belong to the namespace.
COMPONENTS = tuple(sorted(path.parent for path in (KUBERAY / "components").glob("*/kustomization.yaml")))
NETWORKS = tuple(sorted(path.parent for path in (KUBERAY / "network").glob("*/kustomization.yaml")))
YAML_FILES = sorted(CLUSTER.rglob("*.yaml"))


def documents(file: Path) -> list[Any]:
    """Every YAML document of a file."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document is not None]


def build(folder: Path, *components: Path) -> list[dict[str, Any]]:
    """The resources of a kustomization, with components if any are named."""
    return copy.deepcopy(_built(folder, components))


@cache
def _built(folder: Path, components: Sequence[Path]) -> list[dict[str, Any]]:
    if not components:
        return list(yaml.safe_load_all(_kustomize(folder)))
    with tempfile.TemporaryDirectory() as made:
        # Folders have to be named relative to the file.
        here = os.path.realpath(made)
        named = {"resources": [folder], "components": components}
        text = {key: [os.path.relpath(path, here) for path in paths] for key, paths in named.items()}
        Path(here, "kustomization.yaml").write_text(yaml.safe_dump(text))
        return list(yaml.safe_load_all(_kustomize(Path(here))))


def _kustomize(folder: Path) -> str:
    done = subprocess.run([str(KUBECTL), "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def containers(value: Any) -> Iterator[dict[str, Any]]:
    """Every container anywhere in a resource."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("containers", "initContainers"):
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


def rayjob(folder: Path, *components: Path) -> dict[str, Any]:
    """The one RayJob of a kustomization."""
    (job,) = [resource for resource in build(folder, *components) if resource["kind"] == "RayJob"]
    return job
