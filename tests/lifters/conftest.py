"""Published checkpoints made up by formula, as those behind golden.json were, and their network, written plainly."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional


def published_shapes(widths, channels, joints_out, features=34):
    """Names and shapes of a published checkpoint, in its order."""

    def norm(name):
        leaves = ("weight", "bias", "running_mean", "running_var")
        return {**{f"{name}.{leaf}": (channels,) for leaf in leaves}, f"{name}.num_batches_tracked": ()}

    convolutions = [width for wide in widths[1:] for width in (wide, 1)]
    shapes = norm("expand_bn") | {"shrink.weight": (3 * joints_out, channels, 1), "shrink.bias": (3 * joints_out,)}
    shapes["expand_conv.weight"] = (channels, features, widths[0])
    shapes |= {f"layers_conv.{i}.weight": (channels, channels, width) for i, width in enumerate(convolutions)}
    for i in range(len(convolutions)):
        shapes |= norm(f"layers_bn.{i}")
    return shapes


def fill(i, name, shape):
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


@pytest.fixture(scope="session")
def published():
    """Makes a checkpoint's weights: published(widths, channels, joints_out)."""

    def make(*arguments, **options):
        shapes = published_shapes(*arguments, **options)
        return {name: fill(i, name, shape) for i, (name, shape) in enumerate(shapes.items())}

    return make


@pytest.fixture(scope="session")
def reference():
    """The network with strided convolutions, out of published weights: what `TemporalConv` is held against."""

    def layer(x, weights, conv, norm, width, training):
        x = functional.conv1d(x, weights[f"{conv}.weight"], stride=width)
        mean, var = weights[f"{norm}.running_mean"].clone(), weights[f"{norm}.running_var"].clone()
        return functional.batch_norm(
            x, mean, var, weights[f"{norm}.weight"], weights[f"{norm}.bias"], training=training
        ).relu()

    def run(weights, inputs, widths, causal, training):
        x = layer(inputs.flatten(2).transpose(1, 2), weights, "expand_conv", "expand_bn", widths[0], training)
        for i, width in enumerate(widths[1:]):
            y = layer(x, weights, f"layers_conv.{2 * i}", f"layers_bn.{2 * i}", width, training)
            y = layer(y, weights, f"layers_conv.{2 * i + 1}", f"layers_bn.{2 * i + 1}", 1, training)
            x = y + x[:, :, (width - 1 if causal else width // 2) :: width]
        x = functional.conv1d(x, weights["shrink.weight"], weights["shrink.bias"])
        return x.transpose(1, 2).unflatten(2, (-1, 3))

    return run


@pytest.fixture(scope="session")
def wave():
    """Inputs by formula: wave(batch, frames)."""

    def make(batch, frames):
        a = np.arange(batch * frames * 34, dtype=np.float64)
        return torch.from_numpy((0.5 * np.sin(0.013 * a)).astype(np.float32)).view(batch, frames, 17, 2)

    return make


@pytest.fixture(scope="session")
def randomised():
    """Gives a model running statistics that are not those of a fresh one, so that leaving them out shows."""

    def change(model):
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        return model

    return change


@pytest.fixture(scope="session", name="conftest_fill")
def _fill():
    """Makes the tensors of golden checkpoints: conftest_fill(number, name, shape)."""
    return fill
