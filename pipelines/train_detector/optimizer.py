"""The optimizer of a detector's training: Adam for HRNet, AdamW with layer-wise learning rates for ViTPose."""

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from pipelines.train_detector.plan import NetPlan
from schemas.configs.train_detector import DetectorOptimizationConfig

# The values of ViTPose-B (Xu et al. 2022, arXiv:2204.12484).
LAYER_DECAY, WEIGHT_DECAY = 0.75, 0.1
# Matches the number of a layer of ViTPose in the names of its weights.
_LAYER = re.compile(r"\bencoder\.layer\.(\d+)\.")


def make_optimizer(network: nn.Module, net: NetPlan, config: DetectorOptimizationConfig) -> torch.optim.Optimizer:
    """The optimizer; each of its groups has a `share` of the learning rate."""
    if net.vitpose is None:
        groups = [{"params": list(network.parameters()), "share": 1.0}]
        return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)
    groups = list(_groups(network, net.vitpose.depth, config))
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of the last layer, and the shares of the layers before it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)


def _groups(network: nn.Module, depth: int, config: DetectorOptimizationConfig) -> Iterator[dict[str, Any]]:
    """The weights of each layer in two groups: those that decay, and biases, norms and position embeddings."""
    layer_decay = LAYER_DECAY if config.layer_decay is None else config.layer_decay
    weight_decay = WEIGHT_DECAY if config.weight_decay is None else config.weight_decay
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, weight in network.named_parameters():
        decays = weight.ndim > 1 and "position_embeddings" not in name
        groups.setdefault((_depth_of(name, depth), decays), []).append(weight)
    for (layer, decays), weights in sorted(groups.items(), key=lambda item: item[0]):
        share = layer_decay ** (depth + 1 - layer)
        yield {"params": weights, "share": share, "weight_decay": weight_decay if decays else 0.0}


def _depth_of(name: str, depth: int) -> int:
    """The layer of a weight: 0 for embeddings, then the encoder's from 1 on, and the head's after these."""
    if match := _LAYER.search(name):
        return int(match[1]) + 1
    return 0 if ".embeddings." in name else depth + 1
