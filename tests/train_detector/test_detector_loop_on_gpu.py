"""A detector's training on a GPU: it learns what a CPU does, and continues from its own state."""

import pytest
import torch
from train_detector.people_samples import training

from pipelines.training.worker_group import WorkerGroup

DEVICE = torch.device("cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use"),
]


def test_a_gpu_learns_as_a_cpu_does(tmp_path):
    here, there = training(tmp_path, WorkerGroup(torch.device("cpu"))), training(tmp_path, WorkerGroup(DEVICE))
    there.restore(here.state())
    for _ in range(3):
        expected, report = here.run_epoch(), there.run_epoch()
        assert report.losses["total"] == pytest.approx(expected.losses["total"], rel=0.05)
        assert report.count == expected.count


def test_a_training_continues_from_its_own_state(tmp_path):
    whole = training(tmp_path, WorkerGroup(DEVICE))
    whole.run_epoch()
    torch.save(whole.state(), tmp_path / "state.pt")
    resumed = training(tmp_path, WorkerGroup(DEVICE))
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert resumed.run_epoch().losses["total"] == pytest.approx(whole.run_epoch().losses["total"], rel=0.01)
