"""A small lifter with weights of its own, for tests."""

import torch
from torch import nn

from pipelines.lifters.base import Lifter
from pipelines.lifters.checkpoint import LifterCard, save_lifter
from pipelines.lifters.model import LiftingModel, build_model
from pipelines.lifters.temporal_conv import TemporalConv
from schemas.job_config import PluginConfig
from schemas.layouts import layout

CONFIG = {"filter_widths": [3, 3], "channels": 32}


def make_lifter(trajectory: bool = True, fps: float = 50.0, **config: object) -> tuple[LiftingModel, LifterCard]:
    """A temporal convolution over 9 frames that predicts poses, and roots some 4 m away; `config` are its options."""
    torch.manual_seed(0)
    options = {**CONFIG, **config}
    plugin = PluginConfig.model_validate({"name": "temporal_conv", **options})
    model = build_model(plugin, layout("h36m17"), layout("h36m17"), trajectory)
    if trajectory:
        with torch.no_grad():
            last_layer(model.trajectory).bias.copy_(torch.tensor([0.1, 0.2, 4.0]))
    card = LifterCard(
        lifter="temporal_conv",
        config=options,
        input_layout="h36m17",
        output_layout="h36m17",
        trajectory=trajectory,
        fps=fps,
        window=model.pose.window,
    )
    return model.eval(), card


def last_layer(lifter: Lifter | None) -> nn.Linear:
    """What gives the coordinates, three rows a joint."""
    assert isinstance(lifter, TemporalConv)
    return lifter.shrink


def write_lifter(uri: str, trajectory: bool = True, fps: float = 50.0) -> str:
    """Write it; returns where."""
    model, card = make_lifter(trajectory, fps)
    save_lifter(uri, model, card)
    return uri
