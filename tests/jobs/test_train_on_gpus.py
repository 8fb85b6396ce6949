"""The train job on the GPUs of this machine: with one worker, and with two, which share each batch by NCCL."""

import json

import pytest
import torch
from running_jobs import same_weights
from train.training_samples import person, write

GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0
pytestmark = [
    *(pytest.mark.gpu, pytest.mark.ray, pytest.mark.timeout(600)),
    pytest.mark.skipif(GPUS == 0, reason="no GPU that PyTorch can use"),
]
FIELDS = (
    *("data.validation_subjects=[S2]", "lifter.filter_widths=[3,3]", "lifter.channels=32", "lifter.dropout=0"),
    *("optimization.batch_size=64", "resources.use_gpu=true", "resources.precision=float32"),
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write(tmp_path_factory.mktemp("gpus") / "labeled", person("a", 300), person("b", 300, subject="S2"))


def train(corpus, output, *fields):
    """Run the job; returns its report."""
    from jobs.command_line.main import run_job

    assert run_job("train", [f"labeled={corpus}", f"output={output}", *FIELDS, *fields]) == 0
    return json.loads((output / "report.json").read_text())


def test_a_repeated_training_has_the_same_weights_to_the_bit(corpus, embedded_ray, tmp_path):
    for name in ("first", "second"):
        train(corpus, tmp_path / name, "optimization.epochs=2", "resources.deterministic=true")
    assert same_weights(tmp_path / "first", tmp_path / "second")


# Ray gives out the GPUs that it was started with, and that of the tests has one.
@pytest.mark.skipif(GPUS < 2, reason="needs two GPUs")
def test_two_gpus_learn_what_one_does(corpus, tmp_path, monkeypatch):
    import ray

    from pipelines.ray_cluster import session

    ray.shutdown()
    session.connect()
    one = train(corpus, tmp_path / "one", "optimization.epochs=3", "resources.num_workers=1")
    two = train(corpus, tmp_path / "two", "optimization.epochs=3", "resources.num_workers=2")
    assert two["best_validation_mpjpe_mm"] == pytest.approx(one["best_validation_mpjpe_mm"], rel=0.02)
    ray.shutdown()
