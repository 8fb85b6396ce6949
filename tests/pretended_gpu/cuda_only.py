"""Operators that PyTorch has on CUDA alone, written out: the parts of batch normalisation over several workers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def _others(x: Tensor) -> list[int]:
    return [dim for dim in range(x.dim()) if dim != 1]


def _along(x: Tensor, values: Tensor) -> Tensor:
    return values.view([1, -1] + [1] * (x.dim() - 2))


def _stats(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    var, mean = torch.var_mean(x.float(), _others(x), correction=0)
    return mean, (var + eps).rsqrt()


def _gather_stats(
    x: Tensor, mean: Tensor, invstd: Tensor, running_mean: Any, running_var: Any, momentum: float, eps: float, n: Tensor
) -> tuple[Tensor, Tensor]:
    count, n = n.sum(), n[:, None]
    joint = (n * mean).sum(0) / count
    var = (n * (invstd**-2 - eps + (mean - joint) ** 2)).sum(0) / count
    running_mean.lerp_(joint, momentum)
    running_var.lerp_(var * count / (count - 1), momentum)
    return joint, (var + eps).rsqrt()


def _normalise(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, invstd: Tensor, eps: float) -> Tensor:
    y = (x.float() - _along(x, mean)) * _along(x, invstd * weight) + _along(x, bias)
    return y.to(x.dtype)


def _backward_sums(
    grad: Tensor, x: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor, *wanted: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sum_dy = grad.float().sum(_others(x))
    sum_dy_xmu = (grad.float() * (x.float() - _along(x, mean))).sum(_others(x))
    return sum_dy, sum_dy_xmu, sum_dy_xmu * invstd, sum_dy.clone()


def _backward_normalise(
    grad: Tensor, x: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor, sum_dy: Tensor, xmu: Tensor, n: Tensor
) -> Tensor:
    assert n.dtype == torch.int32, "as the kernel asks"
    count = n.sum()
    slope = invstd**2 * xmu / count
    away = grad.float() - _along(x, sum_dy / count) - (x.float() - _along(x, mean)) * _along(x, slope)
    return (away * _along(x, invstd * weight)).to(x.dtype)


CUDA_ONLY: dict[Any, Callable[..., Any]] = {
    aten.batch_norm_stats.default: _stats,
    aten.batch_norm_gather_stats_with_counts.default: _gather_stats,
    aten.batch_norm_elemt.default: _normalise,
    aten.batch_norm_backward_reduce.default: _backward_sums,
    aten.batch_norm_backward_elemt.default: _backward_normalise,
}
