"""The labeled samples of a training: which ones each step sees."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pipelines.sampling.order import EpochOrder, rank_share
from pipelines.sampling.windows import Batch, Windows


@runtime_checkable
class LabeledSamples(Protocol):
    """Labeled batches, each a pure function of the epoch and the step."""

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        ...

    def batch(self, epoch: int, step: int, rank: int = 0, world: int = 1) -> Batch:
        """A worker's part of a batch; the parts of all workers together are the batch, for any number of workers."""
        ...

    def track_ids(self, batch: Batch) -> set[str]:
        """The tracks that a batch was made from."""
        ...


@dataclass(frozen=True)
class RecordedViews:
    """Labeled tracks as their own cameras saw them, each sample once or twice an epoch.

    Attributes:
        windows: The samples.
        order: Which of them each step takes.
    """

    windows: Windows
    order: EpochOrder

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return self.order.steps_per_epoch

    def batch(self, epoch: int, step: int, rank: int = 0, world: int = 1) -> Batch:
        """A worker's part of a batch."""
        samples = self.order.batch(epoch, step)
        return self.windows.batch(rank_share(samples, rank, world), len(samples))

    def track_ids(self, batch: Batch) -> set[str]:
        """The tracks that a batch was made from."""
        infos = self.windows.sequences.infos
        return {infos[number].track_id for number in batch.sequences.tolist()}
