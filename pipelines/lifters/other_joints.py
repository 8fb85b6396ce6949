"""Adapts a lifter's weights to other joints that can be computed from its own, by changing the last layer.

What it predicts stays the same, so a lifter of 17 joints is the start of one of the 14 that several cameras label.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipelines.lifters.model import LiftingModel
from pipelines.pose.middles import poses_from
from schemas.layouts import JointLayout


def for_joints(weights: Mapping[str, Tensor], own: JointLayout, model: LiftingModel) -> Mapping[str, Tensor] | None:
    """Weights with which a model predicts its joints as the original lifter would.

    Args:
        weights: Of a lifter that predicts poses alone, of the model's architecture.
        own: The joints that it predicts.
        model: The model, of the same architecture but for its joints.

    Returns:
        The weights; None if the joints cannot be computed from the lifter's, or its last layer is not known.
    """
    wanted = model.pose.output_layout
    if own.joints == wanted.joints:
        return weights
    matrix = poses_from(own, wanted)
    layer = _last_layer(model)
    if matrix is None or layer is None:
        return None
    changed = dict(weights)
    for name in (f"{layer}.weight", f"{layer}.bias"):
        if name not in weights or len(weights[name]) != 3 * len(own):
            return None
        by_joint = weights[name].unflatten(0, (len(own), 3))
        changed[name] = torch.einsum("ts,s...->t...", torch.tensor(matrix, dtype=by_joint.dtype), by_joint).flatten(
            0, 1
        )
    return changed


def _last_layer(model: LiftingModel) -> str | None:
    """The name of the linear layer that gives the joints, as a lifter says itself."""
    for name, module in model.named_modules():
        layer = getattr(module, "LAST_LAYER", None)
        if layer is not None and isinstance(module.get_submodule(layer), nn.Linear):
            return f"{name}.{layer}"
    return None
