"""HRNet's weights from anywhere: the authors' files, mmpose's, those of our own training, or random ones."""

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
from pipelines.io.torch_files import load_weights, read_hashed, shapes_of
from schemas.errors import UserError
from schemas.layouts import JointLayout, layout

W32 = 32
# The layouts that published checkpoints have, by their number of joints.
_PUBLISHED_LAYOUTS = {17: "coco17", 16: "mpii16"}
# What training tools put before the names; mmpose has the trunk and the head apart, the head under two names.
_PREFIXES = re.compile(r"^(module\.)?(backbone\.|keypoint_head\.(?=final_layer)|head\.(?=final_layer))?")
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class LoadedHrnet:
    """A network with its weights.

    Attributes:
        network: On the CPU.
        layout: Its joints.
        sha256: Of the file, or of what random weights are made from.
        card: What our training says about it; None for weights of others.
    """

    network: HrnetNetwork
    layout: JointLayout
    sha256: str
    card: DetectorCard | None = None


def load_hrnet(weights: str, channels: int | None = None, layout_name: str | None = None) -> LoadedHrnet:
    """Build the network that the weights are for, and fill it.

    Args:
        weights: A checkpoint (any URI), or random:SEED.
        channels: Of the branch of full resolution; None: as the weights have.
        layout_name: The joints; None: as the card says, by their number for published weights.

    Raises:
        UserError: No such file; it is damaged, or is no HRNet, or one of another size or layout.
    """
    if random_seed(weights) is not None:
        return _random(weights, channels or W32, layout(layout_name or _PUBLISHED_LAYOUTS[17]))
    content, digest = read_hashed(weights, "checkpoint of HRNet")
    card = card_of(weights, content, "hrnet")
    found = content.get("weights", {}) if card else published_weights(content)
    if not {"conv1.weight", "transition1.0.0.weight", "final_layer.weight"} <= found.keys():
        keys = ", ".join(list(map(str, found))[:3])
        raise UserError(
            f"{weights}: is no HRNet for keypoints (keys: {keys}, …); expected conv1.weight to final_layer.weight"
        )
    shapes = shapes_of(found)
    joints = shapes["final_layer.weight"][0]
    name = layout_name or (card.layout if card else _PUBLISHED_LAYOUTS.get(joints))
    if name is None:
        raise UserError(
            f"{weights}: final_layer.weight has {joints} joints, which says no layout; give detector.layout"
        )
    chosen = layout(name)
    with torch.device("meta"):
        network = HrnetNetwork(channels or shapes["transition1.0.0.weight"][0], len(chosen), reads_all_branches(shapes))
    own = network.state_dict()
    counters = {name: torch.tensor(0) for name in own if name.endswith(_COUNTER)}
    network.to_empty(device="cpu")
    load_weights(weights, network, {**counters, **{name: _real(value) for name, value in found.items()}})
    return LoadedHrnet(network, chosen, digest, card)


def reads_all_branches(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether a network with weights of these shapes predicts from all branches: its last layer sees more channels."""
    head = shapes.get("final_layer.weight")
    return head is not None and head[1] > shapes["transition1.0.0.weight"][0]


def published_weights(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights in a checkpoint of the authors' or mmpose's, under the authors' names."""
    weights = content.get("state_dict", content)
    return {_PREFIXES.sub("", str(name)): value for name, value in weights.items()}


def _random(weights: str, channels: int, joints: JointLayout) -> LoadedHrnet:
    """Weights that let what comes in through, with heatmaps around a half: a fresh network's are all but 0."""
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


def _real(value: Any) -> Any:
    """Single precision, which the network is built in; published files may be halved."""
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
