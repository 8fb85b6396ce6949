"""BlazePose's two model files: taken out of the Apache-2.0 mediapipe wheel, checked, kept in the cache.

The wheel is downloaded with pip and not installed: its dependencies are too old to live beside ours.
"""

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from pipelines.io.storage import TEMPORARY, cache_folder
from schemas.errors import UserError

PERSON_FILE = "pose_detection.tflite"
LANDMARK_FILE = "pose_landmark_full.tflite"

SHA256 = {
    PERSON_FILE: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    LANDMARK_FILE: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}

# One hash for both files.
WEIGHTS_SHA256 = hashlib.sha256("".join(SHA256.values()).encode()).hexdigest()

_MEMBERS = {
    PERSON_FILE: "mediapipe/modules/pose_detection/pose_detection.tflite",
    LANDMARK_FILE: "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
}

# The last release that carries the models; one fixed platform, so that every machine takes the files from the
# same wheel.
_WHEEL = (
    *("mediapipe==0.10.21", "--no-deps", "--only-binary=:all:"),
    *("--python-version", "3.12", "--platform", "manylinux_2_28_x86_64"),
)

_FIX = (
    "run `python -m jobs.fetch_weights blazepose` where there is a network, "
    "or give a folder with both files as detector.weights=folder"
)

_log = logging.getLogger(__name__)


def locate(folder: str | None) -> Path:
    """The folder that holds the two files: the one given, or the cache, filled on first use.

    Raises:
        UserError: The folder given lacks a file or holds another version of it; or see `fetch`.
    """
    if folder is None:
        return fetch()
    if problem := _problem(Path(folder)):
        raise UserError(f"detector.weights={folder}: {problem}; {_FIX}")
    return Path(folder)


def fetch(into: Path | None = None) -> Path:
    """Download the two files unless they are there; safe when several processes start at once.

    Args:
        into: The folder to keep them in; None is the cache.

    Returns:
        The folder.

    Raises:
        UserError: The folder cannot be written, the registry is out of reach, or its files are others.
    """
    folder = into or cache_folder() / "blazepose"
    if not _problem(folder):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if _problem(folder):
                _fill(folder)
    except OSError as error:
        raise UserError(f"{folder}: the BlazePose weights cannot be kept here: {error}; {_FIX}") from error
    return folder


def _problem(folder: Path) -> str | None:
    """What is wrong with the files of a folder; None if they are the right ones."""
    for name, expected in SHA256.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            return f"{name} has SHA-256 {found[:12]}…, must be {expected[:12]}…"
    return None


def _fill(folder: Path) -> None:
    """Put both files into the folder, each by rename."""
    _log.info("downloading the BlazePose weights (36 MB, once) into %s", folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY) as scratch:
        wheel = _download(Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            for name, member in _MEMBERS.items():
                (Path(scratch) / name).write_bytes(archive.read(member))
        if problem := _problem(Path(scratch)):
            raise UserError(f"BlazePose weights: {wheel.name} is not the published one: {problem}; {_FIX}")
        for name in SHA256:
            os.replace(Path(scratch) / name, folder / name)


def _download(folder: Path) -> Path:
    """Download the wheel into the folder."""
    pip = [sys.executable, "-m", "pip"]
    command = [*pip, "download", *_WHEEL, "--quiet", "--no-input", "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise UserError(f"BlazePose weights: {_WHEEL[0]} could not be downloaded ({reason}); {_FIX}")
    [wheel] = folder.glob("*.whl")
    return wheel
