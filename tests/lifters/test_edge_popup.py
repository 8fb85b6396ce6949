import pytest
import torch
from lifters.golden_by_formula import read
from torch import nn
from torch.nn import functional

from pipelines.lifters.edge_popup import MaskedWeight, keep_mask, mask_layer, signed_constants

GOLDEN = read("edge_popup")


def tensor(name):
    return torch.tensor(GOLDEN[name])


@pytest.mark.parametrize("run", GOLDEN["runs"], ids=lambda run: f"k={run['k']}")
def test_golden_layer(run):
    scores = tensor("scores").requires_grad_()
    masked = MaskedWeight(tensor("weight"), run["k"])
    assert masked.dropped == run["zeroed"]
    assert keep_mask(scores, masked.dropped).int().tolist() == run["mask"]
    output = functional.linear(tensor("input"), masked(scores))
    loss = functional.mse_loss(output, tensor("target"))
    loss.backward()
    torch.testing.assert_close(output, torch.tensor(run["output"]), atol=1e-5, rtol=0)
    assert loss.item() == pytest.approx(run["loss"], abs=1e-5)
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, torch.tensor(run["score_grad"]), atol=1e-5, rtol=0)


def test_golden_steps():
    golden = GOLDEN["five_sgd_steps"]
    scores = tensor("scores").requires_grad_()
    masked = MaskedWeight(tensor("weight"), golden["k"])
    optimizer = torch.optim.SGD([scores], lr=0.1, momentum=0.9, weight_decay=5e-4)
    for step in golden["steps"]:
        optimizer.param_groups[0]["lr"] = step["lr"]
        loss = functional.mse_loss(functional.linear(tensor("input"), masked(scores)), tensor("target"))
        assert loss.item() == pytest.approx(step["loss_before_step"], abs=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(scores.detach(), torch.tensor(golden["scores_after"]), atol=1e-5, rtol=0)
    assert keep_mask(scores, masked.dropped).int().tolist() == golden["mask_after"]


def test_of_equal_scores_those_of_lower_index_are_dropped():
    ties = GOLDEN["ties"]
    assert keep_mask(torch.tensor(ties["scores"]), 2).float().tolist() == ties["mask_by_stable_sort"]
    scores = torch.tensor([1.0, -3, 3, 0, 3, -1])
    stable = scores.abs().sort(stable=True).indices
    for dropped in range(7):
        expected = torch.ones(6, dtype=torch.bool)
        expected[stable[:dropped]] = False
        assert torch.equal(keep_mask(scores, dropped), expected)


def test_constants_are_the_same_everywhere():
    constants = signed_constants((2, 8), 0.5, "expand.product", 7)
    # Computed once with plain integers.
    assert (constants > 0).int().flatten().tolist() == signs_by_definition("expand.product", 7, 16)
    assert set(constants.abs().flatten().tolist()) == {0.5}
    assert not torch.equal(constants, signed_constants((2, 8), 0.5, "expand.product", 8))
    assert not torch.equal(constants, signed_constants((2, 8), 0.5, "shrink", 7))
    assert signed_constants((300, 100), 1.0, "a", 0).mean().abs() < 0.02


def signs_by_definition(name, seed, count):
    """splitmix64 with Python's integers."""
    import hashlib

    whole = 2**64
    start = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little")
    signs = []
    for number in range(1, count + 1):
        z = (start + number * 0x9E3779B97F4A7C15) % whole
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % whole
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % whole
        signs.append(1 - ((z ^ (z >> 31)) >> 63))
    return signs


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_the_constant_is_scaled_by_the_share_that_is_kept(share):
    layer, init = nn.Linear(GOLDEN["init"]["fan_in"], 4), GOLDEN["init"]
    mask_layer(layer, "layer", share, 0)
    assert layer.bias is None
    weight = layer.weight
    assert weight.abs().max().item() == pytest.approx(init[f"signed_constant_scaled_k{share}"])
    assert (weight != 0).sum().item() == 24 - int((1 - share) * 24)
    scores = layer.get_parameter("parametrizations.weight.original")
    assert scores.abs().max().item() <= init["score_bound_kaiming_uniform_a_sqrt5"]
