import json
import math
from pathlib import Path

import pytest
import torch

from pipelines.lifters.base import Lifter, build_lifter
from pipelines.lifters.published import load_published, published_name
from pipelines.lifters.temporal_conv import TemporalConv, TemporalConvConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS, JointLayout

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
H36M = LAYOUTS["h36m17"]
ROOT = JointLayout("root", ("pelvis",), (-1,))


def build(layout_out=H36M, **options):
    torch.manual_seed(0)
    return TemporalConv(TemporalConvConfig(**options), H36M, layout_out)


def count(lifter):
    return sum(p.numel() for p in lifter.parameters())


@pytest.fixture(params=GOLDEN, ids=lambda g: f"{g['filter_widths']}-{g['causal']}-{g['joints_out']}")
def golden(request, published, tmp_path):
    """(expected numbers, the lifter with the weights behind them)"""
    expected = request.param
    weights = published(expected["filter_widths"], expected["channels"], expected["joints_out"])
    torch.save({"model_pos": weights}, tmp_path / "published.bin")
    output_layout = H36M if expected["joints_out"] == 17 else ROOT
    model, _ = load_published(str(tmp_path / "published.bin"), H36M, output_layout, causal=expected["causal"])
    return expected, model.pose


def test_golden_outputs(golden, wave):
    expected, lifter = golden
    inputs = wave(2, expected["input_frames"])
    assert lifter.window.inputs == expected["receptive_field"]
    assert count(lifter) == expected["params"]
    with torch.inference_mode():
        dense, one = lifter(inputs), lifter(wave(2, lifter.window.inputs))
    assert dense.shape == (2, 21, expected["joints_out"], 3)
    assert dense.mean() == pytest.approx(expected["dense_mean"], abs=1e-5)
    assert dense.std() == pytest.approx(expected["dense_std"], abs=1e-5)
    for index, value in expected["dense_samples"].items():
        assert dense[tuple(map(int, index.split(",")))] == pytest.approx(value, abs=1e-5)
    assert one.mean() == pytest.approx(expected["strided_on_R_frames_mean"], abs=1e-5)
    assert one[1, 0, -1, 2] == pytest.approx(expected["strided_sample_1_0_last_2"], abs=1e-5)


@pytest.mark.parametrize(
    ("widths", "options", "joints_out", "parameters"),
    [
        ((3, 3, 3), {}, H36M, 8_555_571),
        ((3, 3, 3, 3), {}, H36M, 12_753_971),
        ((3, 3, 3, 3, 3), {}, H36M, 16_952_371),
        ((3, 3, 3), {"dense": True}, H36M, 29_527_091),
        ((3, 3, 3, 3, 3), {}, ROOT, 16_903_171),
        ((3, 3, 3, 3, 3), {"scores": True}, H36M, 17_004_595),
    ],
)
def test_parameter_counts(widths, options, joints_out, parameters):
    with torch.device("meta"):
        lifter = build(joints_out, filter_widths=widths, **options)
    assert count(lifter) == parameters
    assert lifter.window.inputs == math.prod(widths)


@pytest.mark.parametrize("causal", [False, True])
def test_training_form_is_the_dense_form_in_values_and_gradients(causal, randomised):
    lifter = randomised(build(filter_widths=(3, 5, 3), channels=16, causal=causal)).eval()
    inputs = torch.randn(4, 46, 17, 2)
    # One frame more than the receptive field takes the dense form; its first prediction sees the first 45.
    dense = lifter(inputs)[:, :1]
    dense_grads = torch.autograd.grad(dense.square().sum(), list(lifter.parameters()))
    training = lifter(inputs[:, :45])
    grads = torch.autograd.grad(training.square().sum(), list(lifter.parameters()))
    torch.testing.assert_close(training, dense, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(grads, dense_grads, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_strided_convolutions_have_the_same_values_and_gradients(causal, training, published, reference, tmp_path):
    widths = (3, 5, 3)
    weights = published(widths, 16, 17)
    torch.save(weights, tmp_path / "bare.bin")
    lifter = load_published(str(tmp_path / "bare.bin"), H36M, H36M, dropout=0.0, causal=causal)[0].pose
    assert isinstance(lifter, TemporalConv)
    lifter.train(training)
    inputs = torch.randn(6, 45, 17, 2, requires_grad=True)
    other_inputs = inputs.detach().clone().requires_grad_()
    names = [name for name, _ in lifter.named_parameters()]
    theirs = [weights[published_name(name)].requires_grad_() for name in names]
    expected = reference(weights, other_inputs, widths, causal, training)
    predicted = lifter(inputs)
    torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=1e-5)
    expected_grads = torch.autograd.grad(expected.square().sum(), [other_inputs, *theirs])
    grads = torch.autograd.grad(predicted.square().sum(), [inputs, *lifter.parameters()])
    for name, grad, expected_grad in zip(["inputs", *names], grads, expected_grads, strict=True):
        if expected_grad.ndim == 3:
            expected_grad = expected_grad.movedim(2, 1).flatten(1)
        torch.testing.assert_close(grad, expected_grad.view_as(grad), atol=2e-4, rtol=1e-4, msg=name)


def test_dense_filters_reach_as_far(randomised):
    lifter = randomised(build(filter_widths=(3, 3, 3), channels=8, dense=True)).eval()
    assert lifter(torch.randn(2, 27, 17, 2)).shape == (2, 1, 17, 3)
    assert lifter(torch.randn(2, 40, 17, 2)).shape == (2, 14, 17, 3)


@pytest.mark.parametrize("frames", [9, 14])
@pytest.mark.parametrize(("causal", "carried"), [(True, 8), (False, 4)])
def test_the_carried_frame_is_the_predicted_one(causal, carried, frames):
    lifter = build(filter_widths=(3, 3), channels=8, causal=causal).eval()
    for block in lifter.blocks:
        # Nothing but the block's input is left.
        torch.nn.init.zeros_(block.get_parameter("pointwise.product.weight"))
    inputs = torch.randn(1, frames, 17, 2, requires_grad=True)
    lifter(inputs)[:, 0].sum().backward()
    assert inputs.grad is not None
    felt = inputs.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist()
    assert felt == ([6, 7, 8] if causal else [3, 4, 5])
    assert carried in felt


def test_a_causal_lifter_never_looks_ahead(randomised):
    lifter = randomised(build(filter_widths=(3, 3, 3), channels=16, causal=True)).eval()
    inputs = torch.randn(1, 60, 17, 2)
    changed = inputs.clone()
    changed[:, 40:] += 1
    # Prediction i is for frame i + 26.
    before, after = lifter(inputs), lifter(changed)
    torch.testing.assert_close(before[:, : 40 - 26], after[:, : 40 - 26])
    assert not torch.allclose(before[:, 40 - 26], after[:, 40 - 26])


def test_reads_scores_and_other_layouts():
    config = TemporalConvConfig(filter_widths=(3,), channels=8, scores=True)
    lifter = TemporalConv(config, LAYOUTS["blazepose33"], H36M)
    assert isinstance(lifter, Lifter)
    assert lifter.input_features == 3
    assert lifter(torch.randn(4, 3, 33, 3)).shape == (4, 1, 17, 3)


def test_the_seed_fixes_dropout():
    lifter = build(filter_widths=(3, 3), channels=16)
    inputs = torch.randn(8, 9, 17, 2)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(lifter(inputs))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_bf16_autocast_stays_near():
    lifter = build(filter_widths=(3, 3), channels=32, dropout=0)
    inputs = torch.randn(32, 9, 17, 2)
    grads = []
    for enabled in (False, True):
        lifter.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            outputs = lifter(inputs)
        outputs.float().square().mean().backward()
        grads.append(torch.cat([p.grad.flatten() for p in lifter.parameters() if p.grad is not None]))
    assert torch.cosine_similarity(grads[0], grads[1], dim=0) > 0.99


def test_even_widths_are_refused():
    with pytest.raises(ValueError, match="odd"):
        TemporalConvConfig(filter_widths=(3, 4))


def test_built_by_name():
    config = PluginConfig.model_validate({"name": "temporal_conv", "filter_widths": [3], "channels": 4})
    assert isinstance(build_lifter(config, H36M, ROOT), TemporalConv)
    with pytest.raises(UserError, match=r"unknown plug-in 'temporal'.*did you mean 'temporal_conv'"):
        build_lifter(PluginConfig(name="temporal"), H36M, H36M)
    with pytest.raises(UserError, match=r"lifter.name=os:system: must be a torch.nn.Module with a Config"):
        build_lifter(PluginConfig(name="os:system"), H36M, H36M)
