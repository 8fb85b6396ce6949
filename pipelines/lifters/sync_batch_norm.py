"""Batch normalisation over the samples of all `torch.distributed` workers, for lifters that use PyTorch's own.

PyTorch's own `nn.SyncBatchNorm` refuses CPU tensors, and waits for GPUs in every layer.
"""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipelines.lifters.all_reduce import sum_over_workers, uncompiled
from pipelines.lifters.over_workers import normalised_over_workers


class SyncBatchNorm(_BatchNorm):
    """`nn.BatchNorm1d`, `2d` or `3d` over the samples of all workers; Ioffe and Szegedy (2015), algorithm 1.

    Has the same parameters and buffers as they have, so that checkpoints fit both.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2 dimensions, got {input.dim()}")

    def forward(self, input: Float[Tensor, "samples channels *places"]) -> Float[Tensor, "samples channels *places"]:
        """Normalise each channel."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        return uncompiled(self._train, input)

    def _train(self, input: Float[Tensor, "samples channels *places"]) -> Float[Tensor, "samples channels *places"]:
        if input.device.type == "cuda":
            mean, var = self.running_mean, self.running_var
            return normalised_over_workers(input, self.weight, self.bias, mean, var, self._newest(), self.eps)
        others = [dim for dim in range(input.dim()) if dim != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        count = input.new_tensor(input.numel() / input.shape[1])
        dist.all_reduce(count)
        mean = sum_over_workers(input.sum(others)) / count
        centred = input - mean.view(shape)
        var = sum_over_workers(centred.square().sum(others)) / count
        self._update_statistics(mean.detach(), var.detach() * count / (count - 1))
        y = centred * (var + self.eps).rsqrt().view(shape)
        return y if self.weight is None else y * self.weight.view(shape) + self.bias.view(shape)

    def _newest(self) -> float:
        """Count a batch; the weight of its statistics in the running ones: as in PyTorch the mean, without momentum."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                return 1 / float(self.num_batches_tracked)
        return self.momentum or 0.0

    @torch.no_grad()
    def _update_statistics(self, mean: Float[Tensor, " channels"], var: Float[Tensor, " channels"]) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        newest = self._newest()
        self.running_mean.lerp_(mean, newest)
        self.running_var.lerp_(var, newest)


def synchronise_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """Make PyTorch's batch norms in a model use the statistics of all workers.

    Args:
        model: The model; its batch norms are replaced.
        device: Where it computes.

    Returns:
        The model; another module if it is itself a batch norm.
    """
    if isinstance(model, _BatchNorm):
        same = SyncBatchNorm(
            model.num_features, model.eps, model.momentum, model.affine, model.track_running_stats, device=device
        )
        same.load_state_dict(model.state_dict())
        return same
    for name, child in model.named_children():
        setattr(model, name, synchronise_batch_norm(child, device))
    return model
