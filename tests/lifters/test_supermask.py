from typing import Any

import pytest
import torch
from torch import nn

from pipelines.lifters.base import build_lifter
from pipelines.lifters.checkpoint import LifterCard, load_lifter, save_lifter
from pipelines.lifters.model import build_model
from pipelines.lifters.supermask import multiplied_out
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig, PluginConfig
from schemas.layouts import LAYOUTS

H36M = LAYOUTS["h36m17"]
INNER = {
    "temporal_conv": {"filter_widths": [3, 3], "channels": 32},
    "residual_mlp": {"channels": 32},
    "spacetime_transformer": {"clip": 9, "channels": 16, "depth": 1, "heads": 2, "representation": 16, "scores": False},
}


def build(name="temporal_conv", inner=None, **options) -> Any:
    torch.manual_seed(0)
    config = {"inner": {"name": name, **INNER[name], **(inner or {})}, **options}
    return build_model(PluginConfig.model_validate({"name": "supermask", **config}), H36M, H36M, True), config


def card_of(model, config):
    return LifterCard(
        **{"lifter": "supermask", "config": config, "input_layout": "h36m17", "output_layout": "h36m17"},
        **{"trajectory": True, "fps": 50.0, "window": model.pose.window},
    )


@pytest.fixture(params=INNER)
def saved(request, tmp_path):
    model, config = build(request.param, share=0.3)
    uri = str(tmp_path / "lifter.pt")
    save_lifter(uri, model.eval(), card_of(model, config))
    return model, uri


def test_a_file_gives_the_same_predictions(saved):
    model, uri = saved
    loaded, card = load_lifter(uri)
    inputs = torch.randn(2, 9, 17, 2)
    assert card.lifter == "supermask"
    assert torch.equal(loaded(inputs)[0], model(inputs)[0])
    assert torch.equal(multiplied_out(loaded)(inputs)[1], model(inputs)[1])
    assert torch.equal(loaded(inputs)[1], model(inputs)[1]), "the masked model is as it was"


def test_a_file_holds_a_bit_for_each_masked_weight(tmp_path):
    model, config = build(inner={"channels": 256})
    save_lifter(str(tmp_path / "lifter.pt"), model, card_of(model, config))
    masked = sum(m.constants.numel() for m in model.modules() if hasattr(m, "constants"))
    dense = sum(p.numel() for p in model.parameters() if p.requires_grad) - masked
    assert masked > 5e5
    size = (tmp_path / "lifter.pt").stat().st_size
    # Four statistics or frozen numbers for each channel of a layer, and the archive around it all.
    assert size < masked / 8 + 4 * dense + 60_000
    assert size < 4 * masked / 10


def test_only_scores_and_what_is_not_masked_is_trained():
    model, _ = build("spacetime_transformer")
    trained = {name for name, parameter in model.pose.named_parameters() if parameter.requires_grad}
    assert {"inner.head.weight", "inner.frame_embedding", "inner.blocks.0.fusion.weight"} <= trained
    assert "inner.blocks.0.joints_first.0.qkv.parametrizations.weight.original" in trained
    assert not any("norm" in name for name in trained)
    assert not any(name.endswith("qkv.bias") for name in trained)


def test_training_goes_on_from_a_file(saved):
    _, uri = saved
    loaded, _ = load_lifter(uri)
    before = loaded.train()(torch.randn(4, 9, 17, 2))[0]
    before.square().mean().backward()
    scores = [p for name, p in loaded.named_parameters() if name.endswith("original")]
    assert all(score.grad is not None and score.grad.abs().sum() > 0 for score in scores[:1])


def test_damaged_masks_and_other_weights_are_refused(saved):
    _, uri = saved
    content = torch.load(uri, weights_only=True)
    name = next(name for name in content["weights"] if name.endswith(".mask"))
    good = content["weights"][name].clone()

    def refuse(message):
        torch.save(content, uri)
        with pytest.raises(UserError, match=message):
            load_lifter(uri)

    content["weights"][name] = good[:-1]
    refuse("weights of another architecture")
    content["weights"][name] = good.float()
    refuse("is not of bits")
    content["weights"][name] = torch.zeros_like(good)
    refuse("does not keep lifter.share of the weights")
    content["weights"][name] = good
    content["card"] = content["card"].replace('"share":0.3', '"share":0.3,"weights_seed":1')
    refuse("its mask and seed give other weights")


class NoLinear(nn.Module):
    """Has a convolution and one linear layer, its last."""

    Config = JobConfig
    window, input_features = FrameWindow.sliding(1), 2

    def __init__(self, config, input_layout, output_layout):
        super().__init__()
        self.input_layout, self.output_layout = input_layout, output_layout
        self.last = nn.Linear(34, 51)


def test_a_lifter_without_linear_layers_is_refused():
    config = PluginConfig.model_validate({"name": "supermask", "inner": {"name": f"{__name__}:NoLinear"}})
    with pytest.raises(UserError, match="has no linear layers besides its last"):
        build_lifter(config, H36M, H36M)
