"""What our small kustomize makes of the kustomizations is what the real one makes."""

import subprocess

import manifests
import pytest
import yaml


@pytest.fixture(scope="session")
def kubectl():
    """The command; skips where there is none that brings kustomize. It is given no cluster to talk to."""
    command = ["kubectl", "kustomize"]
    try:
        works = subprocess.run([*command, "--help"], capture_output=True, timeout=60).returncode == 0
    except OSError:
        works = False
    if not works:
        pytest.skip("kubectl is not here: kustomizations are only built by tests/cluster/manifests.py")
    return command


@pytest.mark.parametrize("folder", manifests.APPLIED, ids=lambda folder: folder.name)
def test_kubectl_builds_the_same_manifests(folder, kubectl):
    printed = subprocess.run([*kubectl, str(folder)], capture_output=True, text=True, timeout=60, check=True).stdout
    assert _by_name(yaml.safe_load_all(printed)) == _by_name(manifests.build(folder))


def test_a_patch_does_what_it_says():
    document = {"a": [{"b": 1}, {"b": 2}], "c": "d"}
    manifests.apply_patch(
        document,
        [
            {"op": "test", "path": "/a/1/b", "value": 2},
            {"op": "replace", "path": "/a/1/b", "value": 3},
            {"op": "add", "path": "/a/-", "value": {"b": 4}},
            {"op": "remove", "path": "/a/0"},
            {"op": "add", "path": "/x~1y", "value": "z"},
        ],
    )
    assert document == {"a": [{"b": 3}, {"b": 4}], "c": "d", "x/y": "z"}
    with pytest.raises(AssertionError, match="is d, not e"):
        manifests.apply_patch(document, [{"op": "test", "path": "/c", "value": "e"}])
    with pytest.raises(KeyError):
        manifests.apply_patch(document, [{"op": "replace", "path": "/absent", "value": 1}])


def _by_name(resources):
    return {(r["kind"], r["metadata"].get("namespace"), r["metadata"]["name"]): r for r in resources}
