"""The workers of a training as one of them sees them: its rank, and sums and lists over all of them."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from pipelines.lifters.all_reduce import sum_over_workers


@dataclass(frozen=True)
class WorkerGroup:
    """One worker and the group that it belongs to.

    Attributes:
        device: Where this worker computes.
        rank: The number of this worker, from 0.
        size: Number of workers.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this worker is the one that reports and saves for all."""
        return self.rank == 0

    def sum(self, values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The sum over all workers, through which gradients flow."""
        return values if self.size == 1 else sum_over_workers(values)

    def gather(self, value: object) -> list:
        """The value of every worker, in order of rank."""
        if self.size == 1:
            return [value]
        values: list = [None] * self.size
        dist.all_gather_object(values, value)
        return values
