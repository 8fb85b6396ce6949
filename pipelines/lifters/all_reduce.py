"""A sum over all `torch.distributed` workers through which gradients flow; PyTorch's own is deprecated."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

Result = TypeVar("Result")


def _call(function: Callable[..., Result], *arguments: Any) -> Result:
    return function(*arguments)


_call_uncompiled: Callable[..., Any] = _call


def keep_uncompiled() -> None:
    """Let torch.compile leave out what `uncompiled` calls; to be called before it compiles in this process.

    This imports the compiler, which takes seconds that only those who compile should wait.
    """
    global _call_uncompiled
    _call_uncompiled = torch.compiler.disable(_call)


def uncompiled(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function as it is, because torch.compile sees one worker and not what several send."""
    return _call_uncompiled(function, *arguments)


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
