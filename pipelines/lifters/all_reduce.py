"""A sum over all `torch.distributed` workers through which gradients flow; PyTorch's own is deprecated."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])


def uncompiled(function: Function) -> Function:
    """A function that torch.compile calls as it is: it sees one worker, not what several send."""
    return cast(Function, torch.compiler.disable(function))


def sum_over_workers(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The sum over all workers, which each of them gets; its gradient is the sum of the workers' gradients."""
    return _Sum.apply(values)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total
