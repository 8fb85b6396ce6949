"""Batch normalisation, ReLU and dropout in one step, over (samples, channels).

Statistics are those of the samples of all `torch.distributed` workers: on GPUs by the kernels of `nn.SyncBatchNorm`, on
CPUs, which have none, by the code below. On CPUs the step is limited by memory, not by arithmetic: PyTorch's separate
operators take as long as the matrix products between them, mostly for fresh memory and for one random number per
activation. Here it is done in blocks that stay in the cache, with one random byte per activation.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from pipelines.lifters.all_reduce import uncompiled
from pipelines.lifters.over_workers import normalised_over_workers

# Activations in a block: 4 MiB of floats, whose temporary results stay in the cache. With smaller blocks, threads wait
# for each other so often that other load on the machine stalls them.
_BLOCK = 2**20

# This operator gives g where y > threshold, else 0. It is ReLU's own backward pass and needs no mask.
_relu_backward = torch.ops.aten.threshold_backward.grad_input

# Number of values of a random byte, so that dropout rates are rounded to multiples of 1/256.
_LEVELS = 256


class BatchNormActivation(nn.Module):
    """y = dropout(relu(batch_norm(x))), with batch normalisation after Ioffe and Szegedy (2015), algorithms 1 and 2.

    Args:
        channels: Channels.
        dropout: Fraction of activations set to 0 in training; on CPUs rounded to 1/256.

    Attributes:
        momentum: Weight of the newest batch in the running statistics, as `set_momentum` sets it. A tensor of no
            dimension, because compiled code is compiled again whenever a Python number changes.
    """

    momentum: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.eps = 1e-5
        self.dropout = dropout
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("momentum", torch.tensor(0.1), persistent=False)
        self._momentum = 0.1

    def set_momentum(self, momentum: float) -> None:
        """Set the weight of the newest batch in the running statistics."""
        self.momentum.fill_(momentum)
        self._momentum = momentum

    def forward(self, x: Float[Tensor, "samples channels"]) -> Float[Tensor, "samples channels"]:
        """Normalise, rectify, drop.

        Raises:
            ValueError: There is a single sample in training, which has no variance.
        """
        if not self.training:
            mean, var = self.running_mean, self.running_var
            y = functional.batch_norm(x, mean, var, self.weight, self.bias, training=False, eps=self.eps)
            return functional.relu(y, inplace=True)
        return uncompiled(self._train, x) if _workers() > 1 else self._train(x)

    def _train(self, x: Tensor) -> Tensor:
        on_cpu, compiled = x.device.type == "cpu", torch.compiler.is_compiling()
        if not on_cpu and not compiled:
            # The number that the host knows, so that one operator updates the statistics too.
            return self._activated(self._normalised(x, self.running_mean, self.running_var, self._momentum))
        if on_cpu and not compiled:
            y, mean, var = _Fused.apply(x, self.weight, self.bias, self.dropout, self.eps)
        else:
            # With a momentum of 1 these become the statistics of the batch.
            mean, var = torch.zeros_like(self.running_mean), torch.ones_like(self.running_var)
            y = self._activated(self._normalised(x, mean, var, 1.0))
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var, self.momentum)
        return y

    def _normalised(self, x: Tensor, mean: Tensor, var: Tensor, momentum: float) -> Tensor:
        """Normalise by PyTorch's own operators, and let `mean` and `var` follow the statistics of the batch."""
        if _workers() > 1:
            return normalised_over_workers(x, self.weight, self.bias, mean, var, momentum, self.eps)
        options = {"training": True, "momentum": momentum, "eps": self.eps}
        return functional.batch_norm(x, mean, var, self.weight, self.bias, **options)

    def _activated(self, y: Tensor) -> Tensor:
        return functional.dropout(functional.relu(y, inplace=True), self.dropout)


class _Fused(torch.autograd.Function):
    """The whole step in training on a CPU. Gradients pass where y > 0, so that no mask is kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dropout: float, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, var, count = _statistics(wide)
        kept = min(max(round((1 - dropout) * _LEVELS), 1), _LEVELS)
        inverse_std = (var + eps).rsqrt()
        # For c > 0, relu(c·v) = c·relu(v), so dropout's factor 1/(1 - p) is part of the scale.
        scale = weight * inverse_std * (_LEVELS / kept)
        shift = bias * (_LEVELS / kept) - mean * scale
        y = torch.empty_like(wide)
        keep = _random_keep(wide, kept) if kept < _LEVELS else None
        for rows, _ in _blocks(wide):
            torch.addcmul(shift, wide[rows], scale, out=y[rows]).relu_()
            if keep is not None:
                y[rows].mul_(keep[rows].to(y.dtype))
        y = y.to(x.dtype)
        unbiased = var * (count / (count - 1))
        ctx.mark_non_differentiable(mean, unbiased)
        ctx.save_for_backward(x, y, mean, inverse_std, scale, count)
        ctx.gain = _LEVELS / kept
        return y, mean, unbiased

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, y, mean, inverse_std, scale, count = ctx.saved_tensors
        grad = grads[0]
        sums = mean.new_zeros(2, x.shape[1])
        # Touching fresh memory costs more than this arithmetic, so work space is reused, and x receives the result.
        passed, work = (torch.empty_like(x[: _block_rows(x)], dtype=dtype) for dtype in (grad.dtype, mean.dtype))
        for rows, size in _blocks(x):
            p, w = passed[:size], work[:size]
            _relu_backward(grad[rows], y[rows], 0, grad_input=p)
            sums[0] += p.sum(0, dtype=w.dtype)
            sums[1] += torch.sub(x[rows], mean, out=w).mul_(p).sum(0)
        weight_grad, bias_grad = sums[1] * inverse_std * ctx.gain, sums[0] * ctx.gain
        if _workers() > 1:
            dist.all_reduce(sums)
        # dx = scale · (g - mean(g) - x̂ · mean(g · x̂)) with x̂ = (x - mean) / std, rearranged as x · slope + g · scale
        # + offset.
        slope = -scale * inverse_std.square() * sums[1] / count
        offset = -scale * sums[0] / count - slope * mean
        for rows, size in _blocks(x):
            p, w = passed[:size], work[:size]
            _relu_backward(grad[rows], y[rows], 0, grad_input=p)
            x[rows] = torch.addcmul(offset, x[rows], slope, out=w).addcmul_(p, scale)
        return x, weight_grad, bias_grad, None, None


def _workers() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _block_rows(x: Tensor) -> int:
    """Rows of a block."""
    return max(1, _BLOCK // x.shape[1])


def _blocks(x: Tensor) -> Iterator[tuple[slice, int]]:
    """The rows of each block, and how many there are."""
    for start in range(0, len(x), _block_rows(x)):
        stop = min(start + _block_rows(x), len(x))
        yield slice(start, stop), stop - start


def _statistics(
    x: Float[Tensor, "samples channels"],
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"], Float[Tensor, ""]]:
    """Mean, biased variance and number of samples, over all workers (joined after Chan et al. 1979)."""
    workers = _workers()
    if len(x) * workers == 1:
        raise ValueError("batch normalisation needs more than one sample to train on")
    mean = x.sum(0) / len(x)
    squares = torch.zeros_like(mean)
    work = torch.empty_like(x[: _block_rows(x)])
    for rows, size in _blocks(x):
        squares += torch.sub(x[rows], mean, out=work[:size]).square_().sum(0)
    count = x.new_tensor(len(x))
    if workers > 1:
        own = torch.cat([count[None], mean, squares])
        every = own.new_empty(workers * len(own))
        dist.all_gather_into_tensor(every, own)
        every = every.view(workers, -1)
        counts, means = every[:, :1], every[:, 1 : 1 + len(mean)]
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        squares = every[:, 1 + len(mean) :].sum(0) + (counts * (means - mean).square()).sum(0)
    return mean, squares / count, count


def _random_keep(x: Float[Tensor, "samples channels"], kept: int) -> UInt8[Tensor, "samples channels"]:
    """Ones with probability kept / 256, else zeros, from the default generator: eight from each 64-bit number."""
    numbers = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
    # Without an upper bound, all 64 bits are random.
    numbers.random_(-(2**63), None)
    return numbers.view(torch.uint8)[: x.numel()].view(x.shape).lt_(kept)
