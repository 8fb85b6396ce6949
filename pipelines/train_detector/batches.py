"""Batches of canvases, decoded by threads while the network trains on earlier ones."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from pipelines.sampling.order import EpochOrder
from pipelines.train_detector.augmentation import View, plain_view, random_view
from pipelines.train_detector.crop_cache import CanvasSet
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import AugmentationConfig

# Number of batches prepared in advance: one is ready and one is being made while the network trains on a third.
_AHEAD = 2
# The last number of a random generator's key. Keys of `pipelines.sampling.order` end with other numbers, so that the
# two draw different random numbers.
_VIEWS = 17


@dataclass(frozen=True)
class Batch:
    """A worker's share of a batch.

    Attributes:
        canvases: RGB pixels.
        view: How each canvas is cropped.
        people: Index of each person in the set.
        total: People in the whole batch, of all workers together.
    """

    canvases: UInt8[Tensor, "people side side 3"]
    view: View
    people: Int64[Tensor, " people"]
    total: int

    def split(self, parts: int) -> "list[Batch]":
        """The batch in parts, each of which knows the number of people in the whole batch."""
        if parts == 1:
            return [self]
        return [
            Batch(self.canvases[number::parts], self.view.share(number, parts), self.people[number::parts], self.total)
            for number in range(parts)
        ]


class Batches:
    """A worker's batches from a set of canvases.

    Args:
        canvases: The set.
        workers: The workers that share the batches.
        threads: Number of threads that decode canvases.
        udp: Whether crops are cut as UDP does.
    """

    def __init__(self, canvases: CanvasSet, workers: WorkerGroup, threads: int, udp: bool = False) -> None:
        self.canvases, self._workers, self._udp = canvases, workers, udp
        self._decoders = ThreadPoolExecutor(threads, "canvases")

    def training(self, order: EpochOrder, epoch: int, config: AugmentationConfig) -> Generator[Batch, None, None]:
        """The batches of an epoch; each depends only on the order's seed, the epoch and the step."""

        def load(step: int) -> Batch:
            people = order.batch(epoch, step)
            rng = np.random.default_rng((order.seed, epoch, step, _VIEWS))
            keypoints, labeled = self.canvases.keypoints[people], self.canvases.labeled[people]
            return self._batch(people, random_view(keypoints, labeled, self.canvases.shape, config, rng, self._udp))

        return self._ahead(order.steps_per_epoch, load)

    def validation(self, batch_size: int) -> Generator[Batch, None, None]:
        """Everybody once, cropped as the detector would crop them."""
        batches = torch.arange(len(self.canvases)).split(batch_size)

        def load(step: int) -> Batch:
            people = batches[step]
            keypoints, labeled = self.canvases.keypoints[people], self.canvases.labeled[people]
            return self._batch(people, plain_view(keypoints, labeled, self.canvases.shape, self._udp))

        return self._ahead(len(batches), load)

    def _batch(self, people: Int64[Tensor, " people"], view: View) -> Batch:
        rank, size = self._workers.rank, self._workers.size
        own = people[rank::size]
        side = self.canvases.shape.side
        canvases = torch.empty((len(own), side, side, 3), dtype=torch.uint8)
        if self._workers.device.type == "cuda":
            canvases = canvases.pin_memory()
        pixels = canvases.numpy()

        def decode(place: int) -> None:
            pixels[place] = self.canvases.canvas(int(own[place]))

        list(self._decoders.map(decode, range(len(own))))
        return Batch(canvases, view.share(rank, size), own, len(people))

    def _ahead(self, steps: int, load: Callable[[int], Batch]) -> Generator[Batch, None, None]:
        """Batches in order; a thread makes the next ones in advance."""
        with ThreadPoolExecutor(1, "batches") as maker:
            made = [maker.submit(load, step) for step in range(min(_AHEAD, steps))]
            for step in range(steps):
                batch = made.pop(0).result()
                if step + _AHEAD < steps:
                    made.append(maker.submit(load, step + _AHEAD))
                yield batch
