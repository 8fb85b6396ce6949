"""Weights cast together: what autocast gives, to the bit, forward and back."""

import pytest
import torch

from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.lifters.temporal_conv import TemporalConv, TemporalConvConfig
from pipelines.training.cast_weights import CastWeights
from schemas.layouts import layout

COCO, H36M = layout("coco17"), layout("h36m17")


def lifter() -> tuple[torch.nn.Module, torch.Tensor]:
    config = TemporalConvConfig(filter_widths=(3, 3), channels=16, dropout=0)
    return TemporalConv(config, COCO, H36M), torch.randn(8, 9, 17, 2)


def detector() -> tuple[torch.nn.Module, torch.Tensor]:
    return HrnetNetwork(2, 17, all_branches=False), torch.randn(2, 3, 64, 64)


def step(forward, network, inputs) -> list:
    """Output and gradients under autocast."""
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        output = forward(inputs)
    output.float().square().mean().backward()
    return [output, *(weight.grad for weight in network.parameters())]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("make", [lifter, detector])
def test_outputs_and_gradients_are_those_of_autocast(make, together):
    torch.manual_seed(0)
    network, inputs = make()
    # Frozen weights get no gradient, as without.
    next(network.parameters()).requires_grad_(False)
    plain = step(network, network, inputs)
    actual = step(CastWeights(network, together), network, inputs)
    assert all(a is None if b is None else torch.equal(a, b) for a, b in zip(actual, plain, strict=True))
    assert actual[1] is None
    assert all(gradient is not None and gradient.dtype == torch.float32 for gradient in actual[2:])


def test_without_autocast_nothing_is_cast():
    torch.manual_seed(0)
    network, inputs = lifter()
    assert CastWeights(network, together=True)(inputs).dtype == torch.float32
