"""Golden outputs of other implementations whose weights and inputs follow a formula; see conftest.fill."""

import json
import math
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent


def read(name):
    return json.loads((FOLDER / f"golden_{name}.json").read_text())


def weights_of(shapes, fill):
    """The weights of a state dict, listed as (name, shape)."""
    return {name: fill(i, name, tuple(shape)) for i, (name, shape) in enumerate(shapes)}


def sine(shape, height, step):
    """height · sin(step · n) over all elements."""
    values = height * np.sin(step * np.arange(math.prod(shape), dtype=np.float64))
    return torch.from_numpy(values.astype(np.float32)).view(shape)
