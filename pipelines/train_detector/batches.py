"""Batches of canvases, decoded by threads while the net works on the last ones."""

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

# While one is worked on, one is ready and one is being made.
_AHEAD = 2
# Keys of equal numbers must not give equal sequences: those of `pipelines.sampling.order` begin with others.
_VIEWS = 17


@dataclass(frozen=True)
class Batch:
    """A worker's share of a batch.

    Attributes:
        canvases: RGB.
        view: What is seen of them.
        people: Their numbers in the set.
        total: People of the whole batch, of all workers.
    """

    canvases: UInt8[Tensor, "people side side 3"]
    view: View
    people: Int64[Tensor, " people"]
    total: int


class Batches:
    """What a worker takes of a set of canvases.

    Args:
        held: The canvases.
        workers: Who shares the batches.
        threads: That decode.
    """

    def __init__(self, held: CanvasSet, workers: WorkerGroup, threads: int) -> None:
        self.held, self._workers = held, workers
        self._decoders = ThreadPoolExecutor(threads, "canvases")

    def training(self, order: EpochOrder, epoch: int, config: AugmentationConfig) -> Generator[Batch, None, None]:
        """The batches of an epoch: functions of the order's seed, the epoch and the step alone."""

        def load(step: int) -> Batch:
            people = order.batch(epoch, step)
            rng = np.random.default_rng((order.seed, epoch, step, _VIEWS))
            keypoints, labeled = self.held.keypoints[people], self.held.labeled[people]
            return self._batch(people, random_view(keypoints, labeled, self.held.shape, config, rng))

        return self._ahead(order.steps_per_epoch, load)

    def validation(self, batch_size: int) -> Generator[Batch, None, None]:
        """Everybody once, as the detector would cut them."""
        batches = torch.arange(len(self.held)).split(batch_size)

        def load(step: int) -> Batch:
            people = batches[step]
            keypoints, labeled = self.held.keypoints[people], self.held.labeled[people]
            return self._batch(people, plain_view(keypoints, labeled, self.held.shape))

        return self._ahead(len(batches), load)

    def _batch(self, people: Int64[Tensor, " people"], view: View) -> Batch:
        rank, size = self._workers.rank, self._workers.size
        own = people[rank::size]
        side = self.held.shape.side
        canvases = torch.empty((len(own), side, side, 3), dtype=torch.uint8)
        if self._workers.device.type == "cuda":
            canvases = canvases.pin_memory()
        pixels = canvases.numpy()

        def decode(place: int) -> None:
            pixels[place] = self.held.canvas(int(own[place]))

        list(self._decoders.map(decode, range(len(own))))
        return Batch(canvases, view.share(rank, size), own, len(people))

    def _ahead(self, steps: int, load: Callable[[int], Batch]) -> Generator[Batch, None, None]:
        """Batches in order, made by a thread of its own before they are asked for."""
        with ThreadPoolExecutor(1, "batches") as maker:
            made = [maker.submit(load, step) for step in range(min(_AHEAD, steps))]
            for step in range(steps):
                batch = made.pop(0).result()
                if step + _AHEAD < steps:
                    made.append(maker.submit(load, step + _AHEAD))
                yield batch
