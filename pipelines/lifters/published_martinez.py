"""Reads checkpoints of Martinez et al.'s network as PyTorch code publishes them, with the statistics beside them."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.io.npz import read_npz
from pipelines.io.torch_files import load_weights, require_shapes, shapes_of
from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.model import LiftingModel
from pipelines.lifters.residual_mlp import ResidualMlp
from pipelines.lifters.residual_mlp_options import ResidualMlpConfig
from schemas.errors import UserError
from schemas.layouts import JointLayout

# Width of Human3.6M's pictures, px; the published statistics are in their pixels.
_WIDTH_PX = 1000
# The published networks do not read this joint of Human3.6M, because the Stacked Hourglass detector lacks it.
_UNREAD = "neck"
_COUNTER = "num_batches_tracked"
_STATISTICS = ("mean_2d", "std_2d", "mean_3d", "std_3d")


def load_martinez(
    uri: str,
    content: Mapping[str, Any],
    statistics: str | None,
    input_layout: JointLayout,
    output_layout: JointLayout,
    fps: float,
) -> tuple[LiftingModel, LifterCard]:
    """Make a lifter of the content of a checkpoint, {"state_dict": …} or the weights alone.

    Args:
        uri: The file, for messages.
        content: What is in it.
        statistics: An npz file (URI) with mean_2d and std_2d (px, of the keypoints read) and mean_3d and std_3d (mm, of
            the joints but the root).
        input_layout: Joints of the keypoints.
        output_layout: Joints that it predicts.
        fps: Frames per second of what it was trained on.

    Raises:
        UserError: The weights or joints differ from the layouts', or the statistics are missing or differ.
    """
    weights = {str(name).removeprefix("module."): value for name, value in content.get("state_dict", content).items()}
    weights = {name: value for name, value in weights.items() if not name.endswith(_COUNTER)}
    config = _infer(uri, weights, input_layout)
    build = partial(ResidualMlp, config, input_layout, output_layout)
    with torch.device("meta"):  # before memory is allocated, as the file may claim any size
        own = {name: tensor for name, tensor in build().state_dict().items() if not _is_statistic(name)}
    require_shapes(uri, {published_name(name): tuple(tensor.shape) for name, tensor in own.items()}, weights)
    lifter = build()
    tensors = {name: weights[published_name(name)] for name in own}
    load_weights(uri, lifter, tensors | _statistics(statistics, lifter))
    model = LiftingModel(lifter, None).eval()
    return model, LifterCard.of_published(uri, "residual_mlp", config, model, fps)


def is_martinez(content: Mapping[str, Any]) -> bool:
    """Whether a checkpoint has the weights of Martinez et al.'s network."""
    weights = content.get("state_dict", content)
    names = {str(name).removeprefix("module.") for name in weights} if isinstance(weights, Mapping) else set()
    return {"w1.weight", "w2.weight"} <= names


def published_name(name: str) -> str:
    """The published name of one of `ResidualMlp`'s weights."""
    name = re.sub(r"^first\.product\.", "w1.", name)
    name = re.sub(r"^first\.activation\.", "batch_norm1.", name)
    name = re.sub(r"^last\.", "w2.", name)
    stage = re.fullmatch(r"stages\.(\d+)\.(\d)\.(product|activation)\.(\w+)", name)
    if stage is None:
        return name
    kind = {"product": "w", "activation": "batch_norm"}[stage[3]]
    return f"linear_stages.{stage[1]}.{kind}{int(stage[2]) + 1}.{stage[4]}"


def _is_statistic(name: str) -> bool:
    return name.startswith(("input_", "output_"))


def _infer(uri: str, weights: Mapping[str, Any], layout: JointLayout) -> ResidualMlpConfig:
    """The options that follow from the shapes of the weights."""
    shapes = shapes_of(weights)
    if len(shapes.get("w1.weight", ())) != 2:
        raise UserError(f"{uri}: weights of another architecture; w1.weight is no matrix")
    channels, features = shapes["w1.weight"]
    unread = {2 * len(layout): (), 2 * len(layout) - 2: (_UNREAD,)}.get(features)
    if unread is None:
        raise UserError(
            f"{uri}: reads {features} numbers per frame, {layout.name} has {2 * len(layout)}; give the layout it was "
            "trained on"
        )
    stages = {name.split(".")[1] for name in shapes if name.startswith("linear_stages.")}
    return ResidualMlpConfig(channels=channels, stages=max(1, len(stages)), unread=unread)


def _statistics(uri: str | None, lifter: ResidualMlp) -> dict[str, Tensor]:
    """The buffers: pixels become screen units, millimetres metres."""
    if uri is None:
        raise UserError(
            "statistics: is required for this checkpoint, which does not hold them; give an npz file with "
            f"{', '.join(_STATISTICS)}, of the dimensions in use"
        )
    arrays = read_npz(uri, *_STATISTICS)
    buffers = {
        "input_mean": _numbers(uri, arrays, "mean_2d", lifter.input_mean) * (2 / _WIDTH_PX) - 1,
        "input_deviation": _numbers(uri, arrays, "std_2d", lifter.input_deviation) * (2 / _WIDTH_PX),
        "output_mean": _numbers(uri, arrays, "mean_3d", lifter.output_mean) / 1000,
        "output_deviation": _numbers(uri, arrays, "std_3d", lifter.output_deviation) / 1000,
    }
    for name, key in (("input_deviation", "std_2d"), ("output_deviation", "std_3d")):
        if not (buffers[name] > 0).all():
            raise UserError(f"{uri}: {key}: has a deviation of 0 or less; give the dimensions in use alone")
    return {name: values.float() for name, values in buffers.items()}


def _numbers(uri: str, arrays: Mapping[str, Any], name: str, like: Tensor) -> Tensor:
    values = np.asarray(arrays[name])
    if values.size != like.numel() or not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
        raise UserError(
            f"{uri}: {name}: must be {like.numel()} finite numbers, has {values.size}; give the dimensions in use alone"
        )
    return torch.from_numpy(values.astype(np.float64)).view_as(like)
