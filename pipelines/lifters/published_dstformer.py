"""Reads published checkpoints of MotionBERT's DSTformer, which is a setting of `SpacetimeTransformer`."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipelines.io.torch_files import load_weights, require_shapes, shapes_of
from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.model import LiftingModel
from pipelines.lifters.spacetime_transformer import SpacetimeTransformer
from pipelines.lifters.spacetime_transformer_options import SpacetimeTransformerConfig
from schemas.errors import UserError
from schemas.layouts import JointLayout

# The number of attention heads of all published networks, which the shapes of the weights do not tell.
HEADS = 8

_WHOLE = {
    "joint_embedding": "pos_embed",
    "frame_embedding": "temp_embed",
    "embed": "joints_embed",
    "representation": "pre_logits.fc",
}
_PARTS = {"qkv": "attn_{}.qkv", "proj": "attn_{}.proj", "fc1": "mlp_{}.fc1", "fc2": "mlp_{}.fc2"}


def load_dstformer(
    uri: str,
    content: Mapping[str, Any],
    input_layout: JointLayout,
    output_layout: JointLayout,
    fps: float,
    unit_m: float = 1.0,
    heads: int = HEADS,
) -> tuple[LiftingModel, LifterCard]:
    """Make a lifter of the content of a checkpoint, {"model_pos": …} or the weights alone.

    Args:
        uri: The file, for messages.
        content: What is in it.
        input_layout: Joints of the keypoints it was trained on.
        output_layout: Joints that it predicts: the same ones.
        fps: Frames per second of what it was trained on.
        unit_m: Metres per unit of its predictions.
        heads: Heads of its attention.

    Raises:
        UserError: The weights or joints differ from the layouts'.
    """
    weights = {name.removeprefix("module."): tensor for name, tensor in content.get("model_pos", content).items()}
    config = _infer(uri, weights, heads)
    if input_layout != output_layout:
        raise UserError(
            f"input_layout={input_layout.name}: a DSTformer predicts the joints that it reads, output_layout is "
            f"{output_layout.name}; give the same layout for both"
        )
    build = partial(SpacetimeTransformer, config, input_layout, output_layout)
    with torch.device("meta"):  # before memory is allocated, as the file may claim any size
        own = build().state_dict()
    shapes = {published_name(name): _published_shape(name, tensor) for name, tensor in own.items()}
    require_shapes(uri, shapes, weights)
    lifter = build()
    load_weights(uri, lifter, {name: weights[published_name(name)].view_as(tensor) for name, tensor in own.items()})
    with torch.no_grad():
        for parameter in lifter.head.parameters():
            parameter *= unit_m
    model = LiftingModel(lifter, None).eval()
    return model, LifterCard.of_published(uri, "spacetime_transformer", config, model, fps)


def is_dstformer(content: Mapping[str, Any]) -> bool:
    """Whether a checkpoint has the weights of a DSTformer."""
    weights = content.get("model_pos", content)
    return isinstance(weights, Mapping) and any(str(name).removeprefix("module.") == "temp_embed" for name in weights)


def published_name(name: str) -> str:
    """The published name of one of `SpacetimeTransformer`'s weights."""
    block = re.fullmatch(r"blocks\.(\d+)\.(joints|frames)_first\.(\d)\.(\w+)\.(\w+)", name)
    if block:
        number, first, stage, part, leaf = block.groups()
        # The first stage of a stream attends along the axis that the stream is named after, the second along the other
        # one.
        axis = first if stage == "0" else {"joints": "frames", "frames": "joints"}[first]
        letter = {"joints": "s", "frames": "t"}[axis]
        stream = {"joints": "st", "frames": "ts"}[first]
        published = _PARTS[part].format(letter) if part in _PARTS else f"{part}_{letter}"
        return f"blocks_{stream}.{number}.{published}.{leaf}"
    fusion = re.fullmatch(r"blocks\.(\d+)\.fusion\.(\w+)", name)
    if fusion:
        return f"ts_attn.{fusion[1]}.{fusion[2]}"
    whole, _, leaf = name.partition(".")
    return f"{_WHOLE.get(whole, whole)}.{leaf}" if leaf else _WHOLE[whole]


def _infer(uri: str, weights: Mapping[str, Tensor], heads: int) -> SpacetimeTransformerConfig:
    """The options that follow from the shapes of the weights."""
    shapes = shapes_of(weights)
    needed = ("temp_embed", "pos_embed", "joints_embed.weight", "blocks_st.0.mlp_s.fc1.weight")
    if missing := [name for name in needed if name not in shapes]:
        raise UserError(f"{uri}: weights of another architecture; expected {missing[0]}, found nothing of that name")
    channels, features = shapes["joints_embed.weight"]
    return SpacetimeTransformerConfig(
        clip=shapes["temp_embed"][1],
        channels=channels,
        depth=len({name.split(".")[1] for name in shapes if name.startswith("blocks_st.")}),
        heads=heads,
        mlp_ratio=shapes["blocks_st.0.mlp_s.fc1.weight"][0] / channels,
        representation=shapes.get("pre_logits.fc.weight", (0,))[0],
        scores=features == 3,
        bone_bias=False,
        drop_path=0.0,
    )


def _published_shape(name: str, tensor: Tensor) -> tuple[int, ...]:
    rows, *rest = tensor.shape
    if name == "joint_embedding":
        return 1, rows, *rest
    return (1, rows, 1, *rest) if name == "frame_embedding" else (rows, *rest)
