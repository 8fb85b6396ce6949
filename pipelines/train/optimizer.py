"""The optimizer of a lifter's training, and the moving average of the weights."""

import fnmatch
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from schemas.configs.train import OptimizationConfig
from schemas.errors import UserError

# A message shows at most this many names of parameters.
_SHOWN_NAMES = 6


# The entry of an optimizer's group that multiplies its learning rate.
FACTOR = "factor"


def build_optimizer(model: nn.Module, config: OptimizationConfig) -> Optimizer:
    """Adam, or AdamW if weights decay; only the weights of matrix products do.

    Parameters are grouped by the factor of their learning rate. Frozen ones are in no group and take no gradient.

    Raises:
        UserError: A pattern of `learning_rate_factors` fits no parameter, or all are frozen.
    """
    options = {"lr": config.learning_rate, "amsgrad": config.amsgrad, "fused": True}
    matrices = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, factor in learning_rate_factors(model, config).items():
        parameter = model.get_parameter(name)
        parameter.requires_grad_(factor > 0)
        decay = config.weight_decay if id(parameter) in matrices else 0.0
        groups.setdefault((factor, decay), []).append(parameter)
    # Groups that decay come first, as they did before there were factors, because optimizer states are kept by
    # position.
    some = [
        {"params": groups[factor, decay], "weight_decay": decay, FACTOR: factor}
        for factor, decay in sorted(groups, reverse=True)
        if factor > 0
    ]
    return (AdamW if config.weight_decay else Adam)(some, **options)


def learning_rate_factors(model: nn.Module, config: OptimizationConfig) -> dict[str, float]:
    """The factor of each parameter's learning rate, by its name.

    Raises:
        UserError: A pattern fits no parameter, or all are frozen.
    """
    # What a lifter has frozen itself stays so, unless a pattern says otherwise.
    factors = {name: float(parameter.requires_grad) for name, parameter in model.named_parameters()}
    for entry in config.learning_rate_factors:
        pattern, _, factor = entry.rpartition("=")
        fitting = fnmatch.filter(factors, pattern)
        if not fitting:
            names = ", ".join(list(factors)[:: max(1, len(factors) // _SHOWN_NAMES)][:_SHOWN_NAMES])
            raise UserError(
                f"optimization.learning_rate_factors={entry}: no parameter has such a name; there are {names}, …"
            )
        factors |= dict.fromkeys(fitting, float(factor))
    if not any(factors.values()):
        raise UserError("optimization.learning_rate_factors: freezes all parameters, so nothing is trained; free some")
    return factors


def keep_frozen_statistics(model: nn.Module) -> None:
    """Let frozen batch norms of a model in training use their statistics, and leave them as they are."""
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if hasattr(module, "running_mean") and own and not any(parameter.requires_grad for parameter in own):
            module.eval()


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
        """Update the average with the model after a step."""
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
