"""The optimizer of a lifter's training, and the moving average of the weights."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from schemas.configs.train import OptimizationConfig


def build_optimizer(model: nn.Module, config: OptimizationConfig) -> Optimizer:
    """Adam, or AdamW if weights decay: then those of matrix products alone."""
    options = {"lr": config.learning_rate, "amsgrad": config.amsgrad, "fused": True}
    if not config.weight_decay:
        return Adam(model.parameters(), **options)
    matrices = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    decaying = [parameter for parameter in model.parameters() if id(parameter) in matrices]
    others = [parameter for parameter in model.parameters() if id(parameter) not in matrices]
    groups = [{"params": decaying, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW([group for group in groups if group["params"]], **options)


class MovingAverage:
    """A copy of a model whose weights and statistics follow those of the model slowly.

    At first it is the plain mean, so that fresh weights do not count for long.

    Args:
        model: The model.
        decay: The most of itself that the copy keeps in a step.

    Attributes:
        module: The copy.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module = deepcopy(model)
        self._decay, self._steps = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the model after a step."""
        kept = min(self._decay, self._steps / (self._steps + 1))
        for mine, theirs in zip(self.module.state_dict().values(), model.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - kept)
            else:
                mine.copy_(theirs)
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs."""
        return {"weights": self.module.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.module.load_state_dict(state["weights"])
        self._steps = state["steps"]
