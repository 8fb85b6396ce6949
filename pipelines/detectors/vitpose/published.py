"""Loads the checkpoints of ViTPose's authors (vitpose-b.pth and the like) into the network of transformers."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipelines.detectors import pretrained
from pipelines.detectors.vitpose.shape import VitposeShape
from pipelines.detectors.vitpose.sizes import CLASS, HEADS, PATCH, build_config
from pipelines.io.torch_files import claimed_shapes, load_weights, require_shapes, shapes_of, weights_in
from schemas.errors import UserError

_SUFFIXES = (".pth", ".pt")
# Patterns for the authors' names of weights, and the library's names.
_NAMES = (
    (r"^backbone\.pos_embed$", "backbone.embeddings.position_embeddings"),
    (r"^backbone\.patch_embed\.proj\.", "backbone.embeddings.patch_embeddings.projection."),
    (r"^backbone\.blocks\.", "backbone.encoder.layer."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"^backbone\.last_norm\.", "backbone.layernorm."),
    (r"^keypoint_head\.deconv_layers\.0\.", "head.deconv1."),
    (r"^keypoint_head\.deconv_layers\.1\.", "head.batchnorm1."),
    (r"^keypoint_head\.deconv_layers\.3\.", "head.deconv2."),
    (r"^keypoint_head\.deconv_layers\.4\.", "head.batchnorm2."),
    (r"^keypoint_head\.final_layer\.", "head.conv."),
)
_QKV = ".attn.qkv."
# ViTPose++ has further heads for its other datasets; they predict other joints and are not loaded.
_OTHER_HEADS = "associate_keypoint_heads."
_POSITIONS = "backbone.embeddings.position_embeddings"
_EXPERT = "backbone.encoder.layer.0.mlp.experts."
# Rows and columns of patches in published weights, by the number of patches.
_GRIDS = {192: (16, 12), 256: (16, 16), 432: (24, 18)}


def is_checkpoint(weights: str) -> bool:
    """Whether the weights are a checkpoint file, of the authors or ours, not a folder or a name for transformers."""
    return weights.endswith(_SUFFIXES)


def load_published(weights: str, content: Mapping[str, Any], sha256: str) -> pretrained.Pretrained:
    """Build the network that fits the authors' weights, and load them into it.

    Args:
        weights: The checkpoint, for messages.
        content: What it holds.
        sha256: Its hash.

    Raises:
        UserError: The weights are not a ViTPose.
    """
    stored = weights_in(weights, content, "state_dict")
    tensors = dict(_renamed(stored))
    if not {_POSITIONS, "head.conv.weight", "backbone.encoder.layer.0.mlp.fc1.weight"} <= tensors.keys():
        keys = ", ".join(list(stored)[:3])
        raise UserError(
            f"{weights}: is no ViTPose checkpoint of its authors (keys: {keys}, …); expected backbone.pos_embed to "
            "keypoint_head.final_layer, or give a folder of transformers"
        )
    return pretrained.Pretrained(filled(weights, _config(weights, tensors), tensors), sha256, {})


def filled(weights: str, config: Any, tensors: Mapping[str, Any]) -> Any:
    """The library's network of a config, with weights whose shapes are checked before memory is allocated.

    Args:
        weights: The checkpoint, for messages.
        config: A transformers config; the file may claim any size.
        tensors: The weights, by the library's names.

    Raises:
        UserError: The weights are those of another network.
    """
    build = partial(getattr(pretrained.library(), CLASS), config)
    expected = claimed_shapes(weights, build)
    tensors = {name: torch.tensor(0) for name in expected if name.endswith("num_batches_tracked")} | dict(tensors)
    require_shapes(weights, expected, tensors)
    model = build()
    load_weights(weights, model, tensors)
    return model.eval()


def _renamed(published: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in published.items():
        name = str(key).removeprefix("module.")
        if name.startswith(_OTHER_HEADS):
            continue
        for theirs, ours in _NAMES:
            name = re.sub(theirs, ours, name)
        value = value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
        if _QKV in name and isinstance(value, Tensor):
            for part, share in zip(("query", "key", "value"), value.chunk(3), strict=True):
                yield name.replace(_QKV, f".attention.attention.{part}."), share
        else:
            yield name, value


def _config(weights: str, tensors: Mapping[str, Any]) -> Any:
    shapes = shapes_of(tensors)
    _, positions, width = shapes[_POSITIONS]
    grid = _GRIDS.get(positions - 1)
    if width not in HEADS or grid is None:
        raise UserError(
            f"{weights}: has {positions - 1} patches of {width} channels, which is no published ViTPose: those have "
            f"{', '.join(map(str, HEADS))} channels and {', '.join(map(str, _GRIDS))} patches"
        )
    experts = sum(name.startswith(_EXPERT) and name.endswith("weight") for name in tensors)
    joints, _, kernel, _ = shapes["head.conv.weight"]
    shape = VitposeShape(
        width=width,
        depth=len({name.split(".")[3] for name in tensors if name.startswith("backbone.encoder.layer.")}),
        heads=HEADS[width],
        # The simple head ends with a 3×3 convolution, and the head of transposed convolutions ends with a 1×1 one.
        simple_head=kernel == 3,
    )
    features = shapes[f"{_EXPERT}0.weight"][0] if experts else width // 4
    return build_config(shape, joints, (grid[0] * PATCH, grid[1] * PATCH), max(experts, 1), features)
