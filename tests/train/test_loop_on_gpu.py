"""The loop on a GPU: compiled steps and graphs learn what plain ones do; a resumed training has the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from train.training_samples import person, small, write

from pipelines.io.gpus import settle_order
from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup

DEVICE = torch.device("cuda")
TESTS = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use"),
]


@pytest.fixture
def corpus(tmp_path):
    labeled = write(tmp_path / "labeled", person("a"), person("b", subject="S2"), person("c", 7, subject="S3"))
    return labeled, write(tmp_path / "unlabeled", person("d", 90), person("e", 33))


@pytest.fixture
def same_order():
    settle_order(True)
    yield
    settle_order(False)


def training(corpus, output, device=DEVICE, **resources):
    changes = {"lifter": {"dropout": 0.0}, "resources": resources, "data": {"validation_subjects": ["S2"]}}
    labeled, unlabeled = corpus
    config = small(labeled, unlabeled, output, **changes)
    plan, workers = plan_training(config), WorkerGroup(device)
    begun = LifterTraining(config, plan, load_data(config, plan, workers), workers)
    begun.restore(None)
    return begun


def epochs(corpus, output, **resources):
    """The reports of a training in a process of its own."""
    resources |= {"use_gpu": True, "precision": "float32"}
    command = [sys.executable, "-m", "train.compiled_training", output, *corpus, DEVICE, json.dumps(resources)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


# The last batch of an epoch is smaller than the others, and unlabeled samples join after the first epoch.
@pytest.mark.parametrize("how", [{"compile": True}, {"compile": True, "cuda_graphs": True}], ids=["compile", "graphs"])
def test_compiled_steps_learn_what_plain_ones_do(corpus, tmp_path, how):
    for expected, report in zip(epochs(corpus, tmp_path), epochs(corpus, tmp_path, **how), strict=True):
        assert report["losses"]["total"] == pytest.approx(expected["losses"]["total"], rel=0.02)
        assert report["validation"]["mpjpe_mm"] == pytest.approx(expected["validation"]["mpjpe_mm"], rel=0.02)


def test_a_resumed_training_ends_with_the_same_bits(corpus, tmp_path, same_order):
    whole = training(corpus, tmp_path, precision="auto")
    for _ in range(2):
        whole.run_epoch()
    torch.save(whole.state(), tmp_path / "state.pt")
    whole.run_epoch()
    resumed = training(corpus, tmp_path, precision="auto")
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    resumed.run_epoch()
    ended = resumed.model.state_dict()
    assert all(torch.equal(value, ended[name]) for name, value in whole.model.state_dict().items())


def test_a_training_goes_on_on_another_device(corpus, tmp_path):
    """A checkpoint that a GPU wrote is continued on a CPU, as on a machine that replaces a lost one."""
    begun = training(corpus, tmp_path)
    begun.run_epoch()
    torch.save(begun.state(), tmp_path / "state.pt")
    continued = training(corpus, tmp_path, torch.device("cpu"))
    continued.restore(torch.load(tmp_path / "state.pt", weights_only=True, map_location="cpu"))
    expected = begun.run_epoch().losses["total"]
    assert continued.run_epoch().losses["total"] == pytest.approx(expected, rel=0.01)
