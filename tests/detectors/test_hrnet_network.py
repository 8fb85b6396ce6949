"""HRNet against the outputs of the authors' code, with weights made up by formula."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.detectors.hrnet.network import HrnetNetwork

# Outputs of the authors' code for weights by `fill` and crops x[n] = sin(0.013 n).
GOLDEN = {
    32: (
        (0.2194005219534036, 0.3524566092384023),
        {(0, 0, 0, 0): 0.5500358939, (0, 5, 10, 20): 0.6394497156, (1, 16, 63, 47): 0.7765778303},
    ),
    48: (
        (-0.12876401889390404, 0.3322850014012626),
        {(0, 0, 0, 0): 0.5894287825, (0, 5, 10, 20): -0.0239011217, (1, 16, 63, 47): -0.0309874713},
    ),
}


def fill(i: int, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Tensor number i of the state dict."""
    if not shape:
        return torch.tensor(0)
    a = np.arange(math.prod(shape), dtype=np.float64)
    if name.endswith("running_mean"):
        values = 0.02 * np.sin(0.9 * a + i)
    elif name.endswith("running_var"):
        values = 1 + np.abs(0.1 * np.sin(0.5 * a + i))
    elif len(shape) == 1:
        values = 1 + 0.1 * np.sin(0.3 * a + i) if name.endswith("weight") else 0.05 * np.cos(0.4 * a + i)
    else:
        uniform = np.sin(12.9898 * a + 78.233 * i) * 43758.5453
        values = (2 * (uniform - np.floor(uniform)) - 1) * math.sqrt(3 / math.prod(shape[1:])) * 0.5
    return torch.from_numpy(values.astype(np.float32)).view(shape)


@pytest.mark.parametrize("channels", [32, 48])
def test_golden_outputs(channels: int) -> None:
    network = HrnetNetwork(channels, 17).eval()
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict({name: fill(i, name, shape) for i, (name, shape) in enumerate(shapes.items())})
    crops = torch.from_numpy(np.sin(0.013 * np.arange(2 * 3 * 256 * 192, dtype=np.float64)).astype(np.float32))
    with torch.inference_mode():
        maps = network(crops.view(2, 3, 256, 192))
    assert maps.shape == (2, 17, 64, 48)
    (mean, deviation), samples = GOLDEN[channels]
    assert maps.mean().item() == pytest.approx(mean, abs=1e-4)
    assert maps.std().item() == pytest.approx(deviation, abs=1e-4)
    for place, value in samples.items():
        assert maps[place].item() == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize(("channels", "parameters"), [(32, 28_536_113), (48, 63_595_745)])
def test_parameter_counts(channels: int, parameters: int) -> None:
    with torch.device("meta"):
        network = HrnetNetwork(channels, 17)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_names_order_and_shapes_are_the_published_ones(shared_data: Path) -> None:
    reference = json.loads((shared_data.parent / "reference" / "hrnet_w32_state_dict.json").read_text())
    with torch.device("meta"):
        own = HrnetNetwork(32, 17).state_dict()
    assert [[name, list(value.shape)] for name, value in own.items()] == reference


@pytest.mark.parametrize(("height", "width"), [(384, 288), (256, 256), (64, 32)])
def test_any_size_of_which_32_is_a_divisor(height: int, width: int) -> None:
    with torch.inference_mode():
        maps = HrnetNetwork(4, 16).eval()(torch.zeros(3, 3, height, width))
    assert maps.shape == (3, 16, height // 4, width // 4)


def test_every_weight_learns() -> None:
    torch.manual_seed(0)
    network = HrnetNetwork(4, 17)
    network(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
