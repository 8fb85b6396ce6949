import pytest
import torch

from pipelines.train_detector.objective import heatmap_loss


def test_it_is_the_published_mean_over_joints():
    random = torch.Generator().manual_seed(0)
    predicted, targets = (torch.rand(3, 5, 8, 6, generator=random) for _ in range(2))
    weights = torch.tensor([[1.0, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    mse = torch.nn.MSELoss()
    joints = [
        0.5 * mse(predicted[:, j] * weights[:, j, None, None], targets[:, j] * weights[:, j, None, None])
        for j in range(5)
    ]
    assert float(heatmap_loss(predicted, targets, weights, 3)) == pytest.approx(float(sum(joints) / 5), rel=1e-6)


def test_shares_of_a_batch_have_its_mean():
    random = torch.Generator().manual_seed(1)
    predicted, targets = (torch.rand(5, 2, 4, 4, generator=random) for _ in range(2))
    weights = torch.ones(5, 2)
    shares = [heatmap_loss(predicted[r::2], targets[r::2], weights[r::2], 5 / 2) for r in range(2)]
    whole = heatmap_loss(predicted, targets, weights, 5)
    torch.testing.assert_close(sum(shares) / 2, whole)
