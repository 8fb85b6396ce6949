"""Weights in bf16, cast by one operator for the whole network, where autocast takes one for each, forward and back."""

from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call

# Weights whose gradients are cast together in spite of several workers: of a lifter about as many as they send at once.
_GROUP = 4


@runtime_checkable
class KnowsCastWeights(Protocol):
    """A network, or a part of one, that knows which of its weights are only read by what autocast runs in bf16."""

    def cast_weights(self) -> list[nn.Parameter]:
        """Those weights; all others are left to autocast, which casts them where they are read."""
        ...


class CastWeights(nn.Module):
    """A network that reads its weights in bf16 under autocast. Results and gradients are those of autocast.

    Args:
        network: Parts of it may be `KnowsCastWeights`.
        together: Whether all gradients are cast by one operator too, when the backward pass ends; else by several, so
            that several workers send the first of them while they compute the last.
    """

    def __init__(self, network: nn.Module, together: bool) -> None:
        super().__init__()
        self.network, self._together = network, together
        known = {
            id(weight)
            for part in network.modules()
            if isinstance(part, KnowsCastWeights)
            for weight in part.cast_weights()
        }
        self._names = [name for name, weight in network.named_parameters() if id(weight) in known]

    def forward(self, *inputs: Tensor) -> Any:
        """What the network gives."""
        weights = {name: self.network.get_parameter(name) for name in self._names}
        weights = {name: weight for name, weight in weights.items() if weight.requires_grad}
        if not weights or not torch.is_autocast_enabled(inputs[0].device.type):
            return self.network(*inputs)
        plain: list[Tensor] = list(weights.values())
        copies = _converted(plain, torch.bfloat16)
        size = len(plain) if self._together else _GROUP
        groups = [slice(start, start + size) for start in range(0, len(plain), size)]
        known = [copy for group in groups for copy in _with_gradients(plain[group], copies[group])]
        return functional_call(self.network, dict(zip(weights, known, strict=True)), inputs, tie_weights=False)


def _with_gradients(weights: list[Tensor], copies: list[Tensor]) -> tuple[Tensor, ...]:
    return cast("tuple[Tensor, ...]", _Copies.apply(*weights, *copies))


class _Copies(torch.autograd.Function):
    """Copies of weights in bf16, given with them, whose gradients become those of the weights."""

    @staticmethod
    def forward(ctx: Any, *weights_and_copies: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple(copy.detach() for copy in weights_and_copies[len(weights_and_copies) // 2 :])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        converted = iter(_converted([each for each in gradients if each is not None], torch.float32))
        return *(None if each is None else next(converted) for each in gradients), *(None,) * len(gradients)


@torch.no_grad()
def _converted(values: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    copies = [torch.empty_like(value, dtype=dtype) for value in values]
    torch._foreach_copy_(copies, values)  # pyright: ignore[reportPrivateImportUsage]
    return copies
