import pytest
import torch
from train_detector.people_samples import training

from pipelines.train_detector.loop import learning_rate
from pipelines.training.failures import Diverged
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import DetectorOptimizationConfig
from schemas.errors import UserError

CPU = WorkerGroup(torch.device("cpu"))


def test_the_published_schedule():
    published = DetectorOptimizationConfig()
    rates = [learning_rate(epoch, published) for epoch in (0, 169, 170, 199, 200, 209)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    half = DetectorOptimizationConfig(epochs=105)
    assert [learning_rate(epoch, half) for epoch in (84, 85, 100)] == pytest.approx([1e-3, 1e-4, 1e-5])


def test_the_loss_falls_and_everybody_is_counted(tmp_path):
    loop = training(tmp_path, CPU)
    reports = [loop.run_epoch() for _ in range(4)]
    assert reports[-1].losses["total"] < 0.95 * reports[0].losses["total"]
    assert [(report.epoch, report.count) for report in reports] == [(1, 6), (2, 6), (3, 6), (4, 6)]
    assert 0 <= reports[0].validation["pckh"] <= 1


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path):
    whole = training(tmp_path, CPU)
    whole.run_epoch()
    torch.save(whole.state(), tmp_path / "state.pt")
    last = whole.run_epoch()
    resumed = training(tmp_path, CPU)
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    again = resumed.run_epoch()
    assert (again.losses, again.validation) == (last.losses, last.validation)
    ended = resumed.network.state_dict()
    assert all(torch.equal(value, ended[name]) for name, value in whole.network.state_dict().items())


def test_a_batch_in_parts_gives_the_gradient_of_the_whole(tmp_path):
    losses, gradients = [], []
    for accumulate in (1, 3):
        loop = training(tmp_path, CPU, accumulate=accumulate, batch_size=6)
        loop.network.eval()  # because batch norm normalises each part by itself
        batch = next(loop._data.training.training(loop._order, 0, loop._config.augmentation))
        losses.append(loop._step(batch)["total"].item())
        gradients.append([weights.grad for weights in loop.network.parameters()])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for whole, summed in zip(*gradients, strict=True):
        assert torch.allclose(whole, summed, rtol=1e-3, atol=1e-3 * float(whole.abs().max()))


def test_other_people_cannot_be_gone_on_with(tmp_path):
    loop = training(tmp_path, CPU)
    with pytest.raises(UserError, match="was begun with 7 people, now there are 6"):
        loop.restore(loop.state() | {"people": 7})


def test_divergence_names_the_images(tmp_path):
    loop = training(tmp_path, CPU, learning_rate=1e30)
    with pytest.raises(Diverged, match=r"epoch 1, step \d: the loss is not finite; .* from \d images \(\d\.png"):
        loop.run_epoch()
