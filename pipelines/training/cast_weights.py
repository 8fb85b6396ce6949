"""Weights in bf16, cast by one operator for the whole network, where autocast takes one for each, forward and back."""

from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call


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
        together: Whether all are cast by one operator. Their gradients are then known all at once, when the backward
            pass ends: several workers could not send the first while they compute the last.
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
        if self._together:
            copies = cast("tuple[Tensor, ...]", _Cast.apply(*weights.values()))
        else:
            copies = [cast("tuple[Tensor]", _Cast.apply(weight))[0] for weight in weights.values()]
        return functional_call(self.network, dict(zip(weights, copies, strict=True)), inputs, tie_weights=False)


class _Cast(torch.autograd.Function):
    """Copies in bf16, whose gradients become those of the weights."""

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return _converted(weights, torch.bfloat16)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        known = [gradient for gradient in gradients if gradient is not None]
        converted = iter(_converted(known, torch.float32))
        return tuple(None if gradient is None else next(converted) for gradient in gradients)


def _converted(values: "tuple[Tensor, ...] | list[Tensor]", dtype: torch.dtype) -> tuple[Tensor, ...]:
    copies = [torch.empty_like(value, dtype=dtype) for value in values]
    torch._foreach_copy_(copies, values)  # pyright: ignore[reportPrivateImportUsage]
    return tuple(copies)
