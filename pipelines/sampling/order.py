"""Which samples a training step sees: a pure function of (seed, epoch, step), so that resuming needs only these.

A sample is a chunk, as it is or mirrored: of `count` chunks, sample `i < count` is chunk i, sample `count + i` the
same one mirrored. Batches are of the whole job; `rank_share` splits each over the workers.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from schemas.errors import UserError

Mirroring = Literal["both", "random", "none"]
"""both: each chunk twice per pass, once mirrored (Pavllo et al. 2019); random: once, mirrored by chance; none."""

# This is a part of the key of each random sequence, so that sequences for different purposes differ.
_EPOCH, _STREAM, _POOLS = range(3)


def samples_per_pass(count: int, mirroring: Mirroring) -> int:
    """Number of samples in one pass over `count` chunks."""
    return count * (2 if mirroring == "both" else 1)


@dataclass(frozen=True)
class EpochOrder:
    """Batches of epochs: all samples in a new order each epoch, in batches whose sizes differ by at most one sample.

    There are as many batches as if the last one took the remainder, but the remainder is spread over all of them: a
    last batch of a single sample would have no variance for batch normalisation.

    Attributes:
        count: Number of chunks.
        batch_size: Most samples in a batch.
        seed: Random seed of the order.
        mirroring: How many times a chunk is used in an epoch, and whether mirrored.
    """

    count: int
    batch_size: int
    seed: int
    mirroring: Mirroring = "both"

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-samples_per_pass(self.count, self.mirroring) // self.batch_size)

    @property
    def smallest_batch(self) -> int:
        """Number of samples in the smallest batch."""
        return samples_per_pass(self.count, self.mirroring) // max(1, self.steps_per_epoch)

    def epoch(self, number: int) -> Int64[Tensor, " samples"]:
        """All samples of an epoch in order."""
        return _shuffled(self.count, self.mirroring, (self.seed, number, 0, _EPOCH))

    def batch(self, epoch: int, step: int) -> Int64[Tensor, " samples"]:
        """The samples of one step of an epoch."""
        samples, steps = self.epoch(epoch), self.steps_per_epoch
        return samples[step * len(samples) // steps : (step + 1) * len(samples) // steps]


@dataclass(frozen=True)
class EndlessOrder:
    """Batches without end: all samples, reshuffled in each pass. A batch may continue from one pass into the next.

    Attributes:
        count: Number of chunks.
        batch_size: Samples in a batch.
        seed: Random seed of the order.
        mirroring: How many times a chunk is used in a pass, and whether mirrored.
    """

    count: int
    batch_size: int
    seed: int
    mirroring: Mirroring = "both"

    def batch(self, number: int) -> Int64[Tensor, " samples"]:
        """The samples of batch `number`, counted from 0 over the whole training."""
        size = samples_per_pass(self.count, self.mirroring)
        pieces, place, left = [], number * self.batch_size, self.batch_size
        while left:
            pieces.append(pool_order(self.count, self.mirroring, self.seed, place // size, 0)[place % size :][:left])
            place, left = place + len(pieces[-1]), left - len(pieces[-1])
        return torch.cat(pieces)


def pool_order(count: int, mirroring: Mirroring, seed: int, number: int, pool: int) -> Int64[Tensor, " samples"]:
    """All samples of a pool's `count` chunks in the order of pass `number`; data in a single pool are pool 0."""
    return _shuffled(count, mirroring, (seed, number, pool, _STREAM))


def partition_order(count: int, seed: int, number: int) -> list[int]:
    """The order in which `count` parts of a corpus fill the pools of pass `number`."""
    return np.random.default_rng((seed, number, 0, _POOLS)).permutation(count).tolist()


def seed_of(*numbers: int) -> int:
    """A seed made of several numbers; other numbers give another seed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def rank_share(samples: Int64[Tensor, " samples"], rank: int, world: int) -> Int64[Tensor, " share"]:
    """A worker's part of a batch; the parts of all workers together are the batch, for any number of workers."""
    return samples[rank::world]


def require_work(smallest_batch: int, world: int) -> None:
    """Refuse more workers than the smallest batch has samples, because one of them would have nothing to do.

    Raises:
        UserError: There are more workers than that.
    """
    if world > smallest_batch:
        raise UserError(
            f"num_workers={world}: more workers than samples, the smallest batch has {smallest_batch}; "
            f"take num_workers={smallest_batch} or less, another batch_size, or more data"
        )


# The cache holds the labeled epoch, the two passes or pools that an unlabeled batch may touch, and one more.
@lru_cache(maxsize=4)
def _shuffled(count: int, mirroring: Mirroring, key: tuple[int, ...]) -> Int64[Tensor, " samples"]:
    rng = np.random.default_rng(key)
    samples = rng.permutation(samples_per_pass(count, mirroring))
    if mirroring == "random":
        samples += count * rng.integers(0, 2, count)
    return torch.from_numpy(samples)
