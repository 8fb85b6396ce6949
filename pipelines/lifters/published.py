"""Reads published checkpoints of Pavllo et al.'s architecture: their names and shapes are mapped to ours."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipelines.io.torch_files import load_weights, read_checkpoint, require_shapes, shapes_of
from pipelines.lifters.base import Lifter
from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.model import LiftingModel, root_of
from pipelines.lifters.temporal_conv import TemporalConv, TemporalConvConfig
from schemas.errors import UserError
from schemas.layouts import JointLayout

# A buffer of PyTorch's batch norm that does not affect predictions.
_COUNTER = "num_batches_tracked"

_KINDS = {"product": "conv", "activation": "bn"}


def load_published(
    uri: str,
    input_layout: JointLayout,
    output_layout: JointLayout,
    fps: float = 50.0,
    dropout: float = 0.25,
    causal: bool = False,
) -> tuple[LiftingModel, LifterCard]:
    """Load a checkpoint {"model_pos": …, "model_traj": … or None}, or the weights of a pose lifter alone.

    Filter widths and channels follow from the shapes of the weights; the rest must be given.

    Args:
        uri: The file.
        input_layout: Joints of the keypoints it was trained on.
        output_layout: Joints that it predicts.
        fps: Frames per second of what it was trained on.
        dropout: Fraction of activations to drop in further training.
        causal: Whether it was trained to predict the last frame.

    Returns:
        The model, on the CPU in evaluation mode, and its card.

    Raises:
        UserError: There is no such file, it is damaged, or it has other weights or other joints than the layouts.
    """
    content = read_checkpoint(uri, "lifter")
    pose = content.get("model_pos", content)
    trajectory = content.get("model_traj")
    config = _infer(uri, pose, input_layout, dropout, causal)
    model = LiftingModel(
        _load(uri, pose, partial(TemporalConv, config, input_layout, output_layout)),
        None
        if trajectory is None
        else _load(uri, trajectory, partial(TemporalConv, config, input_layout, root_of(output_layout))),
    )
    return model.eval(), LifterCard.of_published(uri, "temporal_conv", config, model, fps)


def _infer(uri: str, weights: Any, input_layout: JointLayout, dropout: float, causal: bool) -> TemporalConvConfig:
    """Infer the options from the shapes of the convolutions, which are (channels, features, width)."""
    shapes = shapes_of(weights if isinstance(weights, dict) else {})
    names = ["expand_conv.weight"]
    names += [f"layers_conv.{i}.weight" for i in range(0, sum(name.startswith("layers_conv.") for name in shapes), 2)]
    convolutions = [shape for shape in map(shapes.get, names) if shape is not None and len(shape) == 3]
    if len(convolutions) < len(names):
        names_found = ", ".join(list(shapes)[:3]) or "nothing"
        raise UserError(f"{uri}: weights of another architecture; expected {', '.join(names)}, found {names_found}, …")
    channels, features, _ = convolutions[0]
    joints = len(input_layout)
    if features not in (2 * joints, 3 * joints):
        raise UserError(
            f"{uri}: reads {features} numbers per frame, {input_layout.name} has {2 * joints}, or {3 * joints} with "
            "scores; give the layout it was trained on"
        )
    widths = tuple(width for _, _, width in convolutions)
    if any(width % 2 == 0 for width in widths):
        raise UserError(f"{uri}: weights of another architecture; filter widths are odd, found {widths}")
    return TemporalConvConfig(
        filter_widths=widths, channels=channels, dropout=dropout, causal=causal, scores=features == 3 * joints
    )


def _load(uri: str, weights: Mapping[str, Tensor], build: Callable[[], TemporalConv]) -> Lifter:
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith(_COUNTER)}
    # Shapes are checked before memory is allocated, because the file may claim any number of channels.
    with torch.device("meta"):
        claimed = build()
    own = claimed.state_dict()
    require_shapes(uri, {published_name(name): _published_shape(name, own[name], claimed) for name in own}, weights)
    lifter = build()
    theirs = {name: weights[published_name(name)] for name in own}
    # The axes (channels, features, width) become (channels, width · features).
    load_weights(uri, lifter, {name: t.movedim(2, 1).flatten(1) if t.ndim == 3 else t for name, t in theirs.items()})
    return lifter


def published_name(name: str) -> str:
    """The published name of one of `TemporalConv`'s weights."""
    expand = re.fullmatch(r"expand\.(product|activation)\.(\w+)", name)
    if expand:
        return f"expand_{_KINDS[expand[1]]}.{expand[2]}"
    block = re.fullmatch(r"blocks\.(\d+)\.(wide|pointwise)\.(product|activation)\.(\w+)", name)
    if block:
        place = 2 * int(block[1]) + (block[2] == "pointwise")
        return f"layers_{_KINDS[block[3]]}.{place}.{block[4]}"
    return name


def _published_shape(name: str, tensor: Tensor, lifter: TemporalConv) -> tuple[int, ...]:
    if tensor.ndim < 2:
        return tuple(tensor.shape)
    module = lifter.get_submodule(name.rpartition(".")[0].removesuffix(".product"))
    width = getattr(module, "width", 1)
    return tensor.shape[0], tensor.shape[1] // width, width
