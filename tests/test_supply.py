"""What is installed is pinned, with hashes, and the list of it names the FFmpegs inside of wheels."""

import importlib.util
import re
import site
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def pinned(file: str) -> dict[str, str]:
    return {
        re.sub(r"[-_.]+", "-", name.lower()): version for name, version in PINNED.findall((ROOT / file).read_text())
    }


def test_every_tested_version_has_hashes():
    """If not: .ci/lock writes them."""
    locked = pinned("requirements.lock")
    assert locked.pop("setuptools"), "torch needs it, and pip freeze leaves it out"
    assert locked == pinned("constraints.txt")
    assert not pinned("requirements-cuda.lock").keys() & locked.keys(), "pip refuses what is listed twice"
    for file in ("requirements.lock", "requirements-cuda.lock"):
        requirements = re.split(r"\n(?=\w)", (ROOT / file).read_text())[1:]
        assert all("--hash=sha256:" in requirement for requirement in requirements)


def test_the_list_of_what_is_installed_names_each_ffmpeg():
    spec = importlib.util.spec_from_file_location("sbom", ROOT / ".ci/sbom.py")
    assert spec is not None
    assert spec.loader is not None
    sbom = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sbom)
    (packages,) = (Path(folder) for folder in site.getsitepackages() if Path(folder, "av").exists())
    parts = sbom.bundled(packages)
    ffmpeg = {part["group"]: part["version"] for part in parts if ":ffmpeg:" in part.get("cpe", "")}
    if not (packages / "av.libs").exists():
        pytest.skip("PyAV was built here and brings no FFmpeg")
    assert re.fullmatch(r"\d+\.\d.*", ffmpeg["av"])
    assert all(len(part["hashes"][0]["content"]) == 64 for part in parts)
