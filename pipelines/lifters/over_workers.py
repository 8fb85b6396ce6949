"""Batch normalisation over the samples of all workers on GPUs, by the kernels of `nn.SyncBatchNorm`.

That module makes the host wait for the GPU in every layer, because it leaves out workers that have no samples. Here
every worker has some (`pipelines.sampling.order.require_work`), and nothing is waited for.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def normalised_over_workers(
    x: Float[Tensor, "samples channels *places"],
    weight: Float[Tensor, " channels"] | None,
    bias: Float[Tensor, " channels"] | None,
    running_mean: Float[Tensor, " channels"] | None,
    running_var: Float[Tensor, " channels"] | None,
    momentum: float,
    eps: float,
) -> Float[Tensor, "samples channels *places"]:
    """`functional.batch_norm` in training, with the statistics of all `torch.distributed` workers; on GPUs alone.

    Its collectives are small: one in the forward pass and one in the backward pass.
    """
    return _Normalised.apply(x, weight, bias, running_mean, running_var, momentum, eps)


# For the layers of a lifter, whose batches have two sizes.
@lru_cache(maxsize=64)
def _count(samples: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "1"]:
    """A number that is on the device already when the same batch size comes again."""
    return torch.full((1,), samples, dtype=dtype, device=device)


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        x, channels = x.contiguous(), x.shape[1]
        mean, inverse_std = torch.batch_norm_stats(x, eps)
        own = torch.cat([mean, inverse_std, _count(x.numel() // channels, mean.dtype, mean.device)])
        every = own.new_empty(dist.get_world_size() * len(own))
        dist.all_gather_into_tensor(every, own)
        every = every.view(-1, len(own))
        means, inverse_stds, counts = every[:, :channels], every[:, channels:-1], every[:, -1]
        mean, inverse_std = torch.batch_norm_gather_stats_with_counts(
            x, means, inverse_stds, running_mean, running_var, momentum, eps, counts
        )
        ctx.save_for_backward(x, weight, mean, inverse_std, counts.to(torch.int32))
        return torch.batch_norm_elemt(x, weight, bias, mean, inverse_std, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse_std, counts = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        wanted = ctx.needs_input_grad[:3]
        *sums, weight_grad, bias_grad = torch.batch_norm_backward_reduce(
            gradient, x, mean, inverse_std, weight, *wanted
        )
        x_grad = None
        if wanted[0]:
            joined = torch.cat(sums)
            dist.all_reduce(joined)
            sum_grad, sum_grad_x = joined.split(len(mean))
            x_grad = torch.batch_norm_backward_elemt(
                gradient, x, mean, inverse_std, weight, sum_grad, sum_grad_x, counts
            )
        return x_grad, weight_grad, bias_grad, None, None, None, None
