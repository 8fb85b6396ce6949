"""Loads HRNet's weights: from a checkpoint of the authors, of mmpose or of `train_detector`, or random ones."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipelines.detectors.card import DetectorCard, card_of
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.detectors.weights import random_seed
from pipelines.io.torch_files import load_weights, read_hashed, require_shapes, shapes_of, weights_in
from schemas.errors import UserError
from schemas.layouts import JointLayout, layout

W32 = 32
# The joint layouts of published checkpoints, by their number of joints.
_PUBLISHED_LAYOUTS = {17: "coco17", 16: "mpii16"}
# Prefixes that training tools put before the names of weights. mmpose separates trunk and head, and has two names for
# the head.
_PREFIXES = re.compile(r"^(module\.)?(backbone\.|keypoint_head\.(?=final_layer)|head\.(?=final_layer))?")
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class LoadedHrnet:
    """A network with its weights.

    Attributes:
        network: On the CPU.
        layout: Its joints.
        sha256: Hash of the file; for random weights, of the seed and the architecture.
        card: The card that `train_detector` writes into its checkpoints; None for other weights.
    """

    network: HrnetNetwork
    layout: JointLayout
    sha256: str
    card: DetectorCard | None = None


def load_hrnet(weights: str, channels: int | None = None, layout_name: str | None = None) -> LoadedHrnet:
    """Build the network that fits the weights, and load them into it.

    Args:
        weights: A checkpoint (any URI), or random:SEED.
        channels: Channels of the branch with the highest resolution; None: those of the weights.
        layout_name: The joints; None: those of the card, or for published weights the layout with as many joints.

    Raises:
        UserError: There is no such file, it is damaged, it is not an HRNet, or its size or layout differs.
    """
    if random_seed(weights) is not None:
        return _random(weights, channels or W32, layout(layout_name or _PUBLISHED_LAYOUTS[17]))
    content, digest = read_hashed(weights, "checkpoint of HRNet")
    card = card_of(weights, content, "hrnet")
    tensors = weights_in(weights, content, "weights") if card else published_weights(weights, content)
    if not {"conv1.weight", "transition1.0.0.weight", "final_layer.weight"} <= tensors.keys():
        keys = ", ".join(list(map(str, tensors))[:3])
        raise UserError(
            f"{weights}: is no HRNet for keypoints (keys: {keys}, …); expected conv1.weight to final_layer.weight"
        )
    shapes = shapes_of(tensors)
    joints = shapes["final_layer.weight"][0]
    name = layout_name or (card.layout if card else _PUBLISHED_LAYOUTS.get(joints))
    if name is None:
        raise UserError(
            f"{weights}: final_layer.weight has {joints} joints, which no published layout has; give detector.layout"
        )
    chosen = layout(name)
    with torch.device("meta"):
        network = HrnetNetwork(channels or shapes["transition1.0.0.weight"][0], len(chosen), reads_all_branches(shapes))
    own = network.state_dict()
    counters = {name: torch.tensor(0) for name in own if name.endswith(_COUNTER)}
    # Shapes are checked before memory is allocated, because the file may claim any number of channels.
    require_shapes(weights, shapes_of(own), {**counters, **tensors})
    network.to_empty(device="cpu")
    load_weights(weights, network, {**counters, **{name: _as_float32(value) for name, value in tensors.items()}})
    return LoadedHrnet(network, chosen, digest, card)


def reads_all_branches(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether a network with weights of these shapes predicts from all branches: its last layer has more inputs."""
    head = shapes.get("final_layer.weight")
    return head is not None and head[1] > shapes["transition1.0.0.weight"][0]


def published_weights(uri: str, content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights in a checkpoint of the authors or of mmpose, under the authors' names.

    Raises:
        UserError: The checkpoint holds no weights.
    """
    return {_PREFIXES.sub("", name): value for name, value in weights_in(uri, content, "state_dict").items()}


def _random(weights: str, channels: int, joints: JointLayout) -> LoadedHrnet:
    """Random weights whose heatmaps depend on the crop and vary around 0.5; PyTorch's own would give almost 0."""
    seed = random_seed(weights)
    assert seed is not None
    generator = torch.Generator().manual_seed(seed)
    network = HrnetNetwork(channels, len(joints))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.5 / math.sqrt(module.weight[0].numel()), generator=generator)
    assert network.final_layer.bias is not None
    nn.init.constant_(network.final_layer.bias, 0.5)
    digest = hashlib.sha256(f"{weights} hrnet {channels} {joints.name}".encode()).hexdigest()
    return LoadedHrnet(network, joints, digest)


def _as_float32(value: Any) -> Any:
    """Convert weights to float32, the precision of the network; some published files are in half precision."""
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
