"""The random poses behind the golden numbers of reference/golden_temporal_conv.json."""

import numpy as np
import pytest
import torch


@pytest.fixture
def golden_poses() -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction and target, four frames of 17 joints."""
    rng = np.random.RandomState(0)
    pred = rng.randn(4, 17, 3) * 0.3
    target = pred + rng.randn(4, 17, 3) * 0.05
    return torch.from_numpy(pred), torch.from_numpy(target)
