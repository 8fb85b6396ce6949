from typing import Any

import torch
from torch import nn

from pipelines.train.optimizer import MovingAverage, build_optimizer
from schemas.configs.train import OptimizationConfig


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.product, self.norm = nn.Linear(3, 3), nn.LayerNorm(3)
        self.embedding = nn.Parameter(torch.ones(3, 3))


def test_only_matrices_of_products_decay():
    model = Small()
    optimizer = build_optimizer(model, OptimizationConfig(weight_decay=0.5, learning_rate=0.1, amsgrad=False))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in model.state_dict().items():
        shrunk = 0.95 if name == "product.weight" else 1
        torch.testing.assert_close(value, before[name] * shrunk)


def test_without_decay_it_is_the_adam_of_before():
    assert type(build_optimizer(Small(), OptimizationConfig())) is torch.optim.Adam


def test_the_average_follows_weights_and_statistics():
    model: Any = nn.BatchNorm1d(2)
    average: Any = MovingAverage(model, 0.75)
    for step in range(8):
        with torch.no_grad():
            model.weight.fill_(step)
            model.running_mean.fill_(step)
        average.update(model)
        if step < 4:
            assert average.module.weight.tolist() == [step / 2] * 2, "the plain mean at first"
    expected = 1.5
    for step in range(4, 8):
        expected = 0.75 * expected + 0.25 * step
    assert average.module.weight.tolist() == average.module.running_mean.tolist() == [expected] * 2
    again: Any = MovingAverage(nn.BatchNorm1d(2), 0.75)
    again.load_state_dict(average.state_dict())
    again.update(model)
    average.update(model)
    assert torch.equal(again.module.weight, average.module.weight)


def test_what_a_lifter_froze_itself_stays_frozen_unless_a_pattern_says_otherwise():
    model = Small()
    model.norm.requires_grad_(False)
    build_optimizer(model, OptimizationConfig())
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == [
        "norm.weight",
        "norm.bias",
    ]
    build_optimizer(model, OptimizationConfig(learning_rate_factors=("norm.*=0.1",)))
    assert all(parameter.requires_grad for parameter in model.parameters())
