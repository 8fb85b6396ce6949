from typing import Any

import pytest
import torch
from lifters.golden_by_formula import read, sine, weights_of

from pipelines.lifters.base import build_lifter
from pipelines.lifters.model import root_of
from pipelines.lifters.person_centred import build_person_centred
from pipelines.lifters.published_martinez import published_name
from pipelines.lifters.residual_mlp import limited
from pipelines.lifters.residual_mlp_options import ResidualMlpConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

H36M = LAYOUTS["h36m17"]
GOLDEN = read("martinez")


def build(output_layout=H36M, **options) -> Any:
    torch.manual_seed(0)
    values = {"name": "residual_mlp", "channels": 16, **options}
    return build_lifter(PluginConfig.model_validate(values), H36M, output_layout)


def golden_lifter(expected, fill, **options):
    lifter = build(unread=["neck"], channels=expected["linear_size"], stages=expected["stages"], **options).eval()
    weights = weights_of(expected["state_dict"], fill)
    own = {name: weights.get(published_name(name), value) for name, value in lifter.state_dict().items()}
    lifter.load_state_dict(own)
    return lifter


def golden_input(expected):
    """The golden row of 32 numbers is all joints but the neck."""
    values = 2 * sine((expected["batch"], 16, 2), 1.0, 0.37)
    inputs = torch.full((len(values), 1, 17, 2), 7.0)
    inputs[:, 0, [joint for joint in range(17) if joint != H36M.index("neck")]] = values
    return inputs


@pytest.mark.parametrize("expected", GOLDEN["models"], ids=lambda expected: expected["name"])
def test_golden_outputs(expected, conftest_fill):
    lifter = golden_lifter(expected, conftest_fill)
    with torch.no_grad():
        outputs = lifter(golden_input(expected))[:, 0]
    assert outputs[:, 0].abs().max() == 0, "the root"
    rows = outputs[:, 1:].flatten(1)
    assert sum(p.numel() for p in lifter.parameters()) == expected["params"]
    assert rows[0, :8].tolist() == pytest.approx(expected["port"]["row0_first8"], abs=1e-5)
    assert rows[-1, -4:].tolist() == pytest.approx(expected["port"]["last_row_last4"], abs=1e-5)
    assert rows.mean().item() == pytest.approx(expected["port"]["mean"], abs=1e-5)
    assert rows.std(correction=0).item() == pytest.approx(expected["port"]["std"], abs=1e-4)


@pytest.mark.parametrize("expected", GOLDEN["models"], ids=lambda expected: expected["name"])
def test_golden_outputs_with_limited_norms(expected, conftest_fill):
    lifter = golden_lifter(expected, conftest_fill, max_norm=True)
    for module in lifter.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-3  # of the original code
    with torch.no_grad():
        rows = lifter(golden_input(expected))[:, 0, 1:].flatten(1)
    assert rows[0, :8].tolist() == pytest.approx(expected["tf"]["row0_first8"], abs=1e-5)
    assert rows[-1, -4:].tolist() == pytest.approx(expected["tf"]["last_row_last4"], abs=1e-5)


def test_gradients_flow_through_the_norm():
    golden = GOLDEN["max_norm"]
    weight = torch.tensor(golden["W (in x out)"]).T.requires_grad_()
    clipped = limited(weight)
    loss = (torch.tensor(golden["x"]) @ clipped.T).square().sum()
    loss.backward()
    torch.testing.assert_close(clipped.T, torch.tensor(golden["clipped"]))
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad.T, torch.tensor(golden["grad_W (through the norm)"]))
    assert torch.equal(limited(weight / 10), weight / 10), "a short one is left as it is"


def test_statistics_are_those_of_the_samples():
    lifter = build()
    inputs, positions = torch.randn(50, 3, 17, 2) * 3 + 1, torch.randn(50, 3, 17, 3)
    positions -= positions[:, :, :1].clone()
    lifter.fit_statistics(inputs, positions)
    standardised = lifter._standardised(inputs).flatten(0, 1)
    torch.testing.assert_close(standardised.mean(0), torch.zeros(17, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(standardised.std(0, correction=0), torch.ones(17, 2))
    torch.testing.assert_close(lifter.output_mean, positions[:, :, 1:].flatten(0, 1).mean(0))
    assert "output_deviation" in lifter.state_dict(), "statistics are saved with the weights"


def test_missing_keypoints_are_neither_counted_nor_seen():
    lifter = build(scores=True).eval()
    inputs = torch.cat([torch.randn(50, 1, 17, 2), torch.ones(50, 1, 17, 1)], dim=-1)
    gaps = inputs.clone()
    gaps[25:, :, 3] = torch.tensor([100.0, 100.0, 0.0])
    positions = torch.randn(50, 1, 17, 3)
    lifter.fit_statistics(gaps, positions)
    torch.testing.assert_close(lifter.input_mean[3], inputs[:25, 0, 3, :2].mean(0))
    moved = gaps.clone()
    moved[25:, :, 3, :2] = -5
    assert torch.equal(lifter(gaps), lifter(moved))


def test_a_trajectory_is_the_root_itself():
    assert build(root_of(H36M))(torch.randn(4, 2, 17, 2)).shape == (4, 2, 1, 3)
    assert build(root_of(H36M))(torch.randn(4, 2, 17, 2)).abs().max() > 0


def test_within_person_centred_input_statistics_are_those_of_centred_samples():
    config = PluginConfig.model_validate({"name": "residual_mlp", "channels": 8, "scores": True})
    limbs = LAYOUTS["limbs12"]
    for output_layout in (H36M, root_of(H36M)):
        lifter: Any = build_person_centred(config, limbs, output_layout)
        inputs = torch.cat([torch.randn(60, 1, 12, 2) * 0.1 + 0.3, torch.ones(60, 1, 12, 1)], dim=-1)
        positions = torch.randn(60, 1, len(output_layout), 3) * 0.1 + torch.tensor([0.0, 0.0, 4.0])
        lifter.fit_statistics(inputs, positions)
        assert lifter.inner.input_deviation.min() > 0.1, "in units of the person's size"
        # Statistics alone predict the mean of what was seen, turned and scaled back.
        for parameter in lifter.parameters():
            parameter.data.zero_()
        means = lifter.eval()(inputs).mean((0, 1))
        if len(output_layout) == 1:
            assert means[0, 2].item() == pytest.approx(4, rel=0.2)


def test_bad_options_are_named():
    with pytest.raises(UserError, match=r"lifter\.unread=tail: h36m17 has no such joint"):
        build(unread=["tail"])
    with pytest.raises(UserError, match="leaves no joint"):
        build(unread=list(H36M.joints))
    assert ResidualMlpConfig().channels == 1024
