"""The lifter processes on Ray. The only file of this folder that knows Ray."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import ray
import torch

from pipelines.io.gpus import begin_on
from pipelines.ray_cluster import session
from pipelines.ray_cluster.pools import Capacity, Pool, fill_cluster, require_room
from pipelines.ray_cluster.waiting import told_if_nothing_fits
from pipelines.serve.batches import BatchedLifter
from pipelines.serve.dispatcher import Answered, Replica
from pipelines.serve.served_model import ServedModel
from schemas.configs.serve import ServeConfig

# This is more than any cluster has, so that requests never run out.
_WITHOUT_END = 1_000_000


class LifterProcess:
    """Answers batches with the lifter that each names, which it loads when that is another one.

    Args:
        threads: CPU threads.
        device: A torch device string.
        flip: Whether the mirror image is lifted too and both are averaged.
    """

    def __init__(self, threads: int, device: str, *, flip: bool) -> None:
        torch.set_num_threads(threads)
        begin_on(device)
        self._device, self._flip = device, flip
        self._name, self._lifter = "", None

    def answer(self, name: str, boxed: Sequence[Any], bodies: Sequence[bytes]) -> Answered:
        """Answer a batch.

        Args:
            name: The lifter.
            boxed: Where Ray keeps it, in a list, because Ray would hand over what a bare argument stands for.
            bodies: The requests.
        """
        if self._lifter is None or name != self._name:
            served: ServedModel = ray.get(boxed[0])
            self._lifter = BatchedLifter(served.model.to(self._device), served.card, flip=self._flip)
            self._name = name
        return Answered(name, self._lifter.answer(bodies))


class Replicas:
    """A pool of lifter processes.

    Args:
        config: How many and how large.
        served: The lifter.
    """

    def __init__(self, config: ServeConfig, served: ServedModel) -> None:
        session.connect()
        capacity = Capacity.of_cluster()
        self.pool = fill_cluster(
            capacity, config.replicas, config.cpus_per_replica, config.gpus_per_replica, work=_WITHOUT_END
        )
        # Machines may join a cluster, so a lack of room is only logged there.
        if not os.environ.get("RAY_ADDRESS"):
            require_room(Pool(1, self.pool.cpus, self.pool.gpus), capacity)
        device = "cuda" if self.pool.gpus else "cpu"
        # A lost process is started again, and its batch is tried once more.
        process = ray.remote(LifterProcess).options(
            num_cpus=self.pool.cpus, num_gpus=self.pool.gpus, max_restarts=-1, max_task_retries=1
        )
        self._actors: list[Any] = [
            process.remote(config.cpus_per_replica, device, flip=config.flip) for _ in range(self.pool.size)
        ]
        self.switch(served)

    def switch(self, served: ServedModel) -> None:
        """Serve another lifter from the next batches on."""
        self._name, self._boxed = served.name, [ray.put(served)]

    def replicas(self) -> list[Replica]:
        """Each of the processes."""
        return [self._asking(actor) for actor in self._actors]

    async def begin(self, body: bytes) -> Answered:
        """Let every process answer a request, so that each has begun and loaded the lifter; the last one's answer."""
        with told_if_nothing_fits(str(self.pool)):
            return (await asyncio.gather(*(replica([body]) for replica in self.replicas())))[-1]

    def close(self) -> None:
        """End the processes."""
        for actor in self._actors:
            ray.kill(actor)

    def _asking(self, actor: Any) -> Replica:
        async def ask(bodies: Sequence[bytes]) -> Answered:
            return await actor.answer.remote(self._name, self._boxed, bodies)

        return ask
