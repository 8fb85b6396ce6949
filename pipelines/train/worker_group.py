"""The workers of a training, as one of them sees them: sums over all, and what to do alone."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.distributed.nn.functional import all_reduce


@dataclass(frozen=True)
class WorkerGroup:
    """A worker among its equals.

    Attributes:
        device: Where this one computes.
        rank: Which one this is, from 0.
        size: How many there are.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this worker speaks for all."""
        return self.rank == 0

    def sum(self, values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The sum over all workers; gradients pass."""
        return values if self.size == 1 else all_reduce(values)

    def gather(self, value: object) -> list:
        """The value of every worker, in order of rank."""
        if self.size == 1:
            return [value]
        values: list = [None] * self.size
        dist.all_gather_object(values, value)
        return values
