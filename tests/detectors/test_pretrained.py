"""What is said where transformers cannot be loaded. In processes of their own: it is loaded once."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.detectors.keypoint_rcnn import KeypointRcnn, KeypointRcnnConfig
from schemas.errors import UserError

ROOT = Path(__file__).parents[2]

# As torchvision fails beside another version of torch than its own.
BROKEN = "raise RuntimeError('operator torchvision::nms does not exist')"

LOAD = """
from pipelines.detectors.persons.base import PersonsConfig
from pipelines.detectors.persons.detr import DetrPersons
from schemas.errors import UserError
try:
    DetrPersons(PersonsConfig(weights="random:0"), 1, "cpu")
except UserError as error:
    print(error)
"""


def test_a_torchvision_for_another_torch(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(BROKEN)
    (tmp_path / "torchvision-0.28.0.dist-info").mkdir()
    (tmp_path / "torchvision-0.28.0.dist-info" / "METADATA").write_text("Name: torchvision\nVersion: 0.28.0\n")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, env=environment, check=True)
    [line] = done.stdout.splitlines()
    assert line.startswith("torchvision 0.28.0 is not made for the installed torch ")
    assert "(operator torchvision::nms does not exist)" in line
    assert "uninstall it" in line


def test_keypoint_rcnn_without_its_torchvision():
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        pass
    else:
        pytest.skip("torchvision is here and works")
    with pytest.raises(UserError, match=r"detector=keypoint_rcnn: needs the torchvision made for torch .*; install it"):
        KeypointRcnn(KeypointRcnnConfig(weights="keypointrcnn.pth"), 1, "cpu")
