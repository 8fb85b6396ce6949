"""One version of Ray, of Python and of everything pinned, wherever it is said."""

import re
import tomllib

import pytest
from manifests import CLUSTER, KUBERAY, OVERLAYS, ROOT, rayjob
from packaging.requirements import Requirement

PINS = dict(
    line.strip().split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line and line[0] != "#"
)
DOCKERFILES = {"nodes": CLUSTER / "Dockerfile", "mlflow": CLUSTER / "mlflow" / "Dockerfile"}


@pytest.mark.parametrize("folder", [*(KUBERAY / "overlays" / name for name in OVERLAYS), CLUSTER / "kind"])
def test_kuberay_is_told_the_ray_of_the_image(folder):
    assert rayjob(folder)["spec"]["rayClusterSpec"]["rayVersion"] == PINS["ray"]


def test_no_file_names_another_ray():
    for file in [*CLUSTER.rglob("*.yaml"), *DOCKERFILES.values(), ROOT / "docs" / "cluster.md"]:
        named = re.findall(r"(?i)\bray(?:Version)?(?:==|:| )\s*[\"']?(\d+\.\d+\.\d+)", file.read_text())
        assert set(named) <= {PINS["ray"]}, file


def test_the_pin_is_within_the_projects_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    for requirement in wanted:
        pin = {name.lower(): version for name, version in PINS.items()}[requirement.name.lower()]
        assert requirement.specifier.contains(pin), f"{requirement}: constraints.txt has {pin}"


def test_images_are_built_from_pinned_ones():
    for file in DOCKERFILES.values():
        text = file.read_text()
        defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", text, re.MULTILINE))
        bases = [defaults.get(base.strip("${}"), base) for base in re.findall(r"^FROM (\S+)", text, re.MULTILINE)]
        assert bases
        assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases), bases
        assert any(base.startswith("python:3.11.") for base in bases), "what constraints.txt was tested with"


def test_images_install_what_is_pinned_and_run_as_nobody_special():
    for file in DOCKERFILES.values():
        text = file.read_text()
        assert all("-c " in line for line in re.findall(r"pip install[^&\n]*", text))
        for name, version in re.findall(r"\s([\w-]+)==(\S+)", text):
            assert PINS.get(name, version) == version, f"{file}: {name}"
        user, last = re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1], text.rstrip().rsplit("\nUSER", 1)[1]
        assert user == "1000"
        assert "apt-get" not in last
        assert "pip install" not in last


def test_the_nodes_image_is_cuda_and_holds_the_weights():
    text = DOCKERFILES["nodes"].read_text()
    assert "BASE=nvidia/cuda:" in text
    cache = re.search(r"RAYLIFT_CACHE=(\S+)", text)
    assert cache
    # The folder that pipelines/detectors/blazepose/weights.py looks in.
    assert f"jobs.fetch_weights blazepose into={cache[1]}/blazepose" in text
    for folder in ("schemas", "pipelines", "jobs", "raylift"):
        assert f"COPY {folder} {folder}" in text
    # What pods mount for videos leaves the weights in sight.
    mounts = rayjob(KUBERAY / "overlays" / "label")["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    paths = [mount["mountPath"] for mount in mounts["containers"][0]["volumeMounts"]]
    assert f"{cache[1]}/videos" in paths
    assert cache[1] not in paths


def test_the_nodes_image_has_what_options_need_beyond_python():
    """What each option calls when it is used, by the package that has it."""
    needs = {
        "resources.compile, resources.cuda_graphs, detector.compile on GPUs: Triton's launchers": "gcc",
        "the same on CPUs: what torch.compile writes": "g++",
        "both: headers": "libc6-dev",
        "ray up": "rsync",
        "probes of KubeRay": "wget",
    }
    installed = re.findall(r"apt-get install -y --no-install-recommends ([^&]*)", DOCKERFILES["nodes"].read_text())
    packages = installed[0].replace("\\\n", " ").split()
    assert {option: package for option, package in needs.items() if package not in packages} == {}


def test_what_the_images_copy_is_there_and_not_ignored():
    ignored = set((ROOT / ".dockerignore").read_text().split())
    for file in DOCKERFILES.values():
        for line in re.findall(r"^COPY (?!--from)(.+)$", file.read_text(), re.MULTILINE):
            for source in line.split()[:-1]:
                assert (ROOT / source).exists()
                assert source.partition("/")[0] not in ignored
