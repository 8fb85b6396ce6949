"""Lifters with folded weights predict what the lifters themselves predict."""

import pytest
import torch

from pipelines.lifters import folded
from pipelines.lifters.folded import fold
from pipelines.lifters.model import build_model
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

H36M = LAYOUTS["h36m17"]


@pytest.fixture(params=["onednn", "without onednn"])
def products(request, monkeypatch):
    if request.param == "without onednn":
        monkeypatch.setattr(folded, "_has_onednn", lambda: False)


def model(randomised, **options):
    torch.manual_seed(0)
    values = {"name": "temporal_conv", "channels": 16, **options}
    return randomised(build_model(PluginConfig.model_validate(values), H36M, H36M, trajectory=True)).eval()


@pytest.mark.parametrize(
    "options",
    [
        {"filter_widths": [3, 3, 3]},
        {"filter_widths": [3, 3, 3], "causal": True},
        {"filter_widths": [3, 3, 3], "scores": True},
        {"filter_widths": [3, 3], "dense": True},
        {"filter_widths": [5, 3, 7]},
        {"filter_widths": [3, 5, 1]},
        {"filter_widths": [9]},
    ],
)
@pytest.mark.parametrize("frames", [1, 2, 53, 54, 55, 400])
@torch.inference_mode()
def test_folded_weights_predict_the_same(randomised, products, options, frames):
    lifter = model(randomised, **options)
    shape = 2, frames + lifter.pose.window.context, 17, lifter.pose.input_features
    inputs = torch.randn(shape)
    for ours, expected in zip(fold(lifter)(inputs), lifter(inputs), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_long_windows_take_the_fast_path_in_several_blocks(randomised, products, monkeypatch):
    monkeypatch.setattr(folded, "_ROWS", 20)
    lifter = model(randomised, filter_widths=[3, 3, 3])
    inputs = torch.randn(1, 300, 17, 2)
    expected = lifter(inputs)
    monkeypatch.setattr(type(lifter.pose), "forward", lambda *_: pytest.fail("the plain forward pass was used"))
    for ours, other in zip(fold(lifter)(inputs), expected, strict=True):
        torch.testing.assert_close(ours, other, atol=1e-5, rtol=1e-5)


def test_other_lifters_are_called_as_they_are(randomised):
    lifter = model(randomised, filter_widths=[3, 3])
    lifter.pose = torch.nn.Identity()
    assert fold(lifter)(torch.ones(1, 9, 17, 2))[0].shape == (1, 9, 17, 2)
