"""The connection of a worker of a training to the job that has started it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import ray
import ray.train
import ray.train.torch

from pipelines.training import heartbeat
from pipelines.training.channel import Instructions
from pipelines.training.worker_group import WorkerGroup


class Link(Protocol):
    """The way from a worker to its job."""

    def workers(self) -> WorkerGroup:
        """The group that this worker belongs to."""
        ...

    def send(self, message: object | None) -> Instructions:
        """Give the job a message, unless it is None; returns the job's instructions."""
        ...

    def beating(self, rank: int) -> AbstractContextManager[None]:
        """Within it, the job learns where this worker is, which says so while others wait for it."""
        ...

    def epoch_saved(self, metrics: Mapping[str, Any]) -> None:
        """Called by all workers when the checkpoint of an epoch is written, with the metrics that rank it."""
        ...


@dataclass(frozen=True)
class RayTrainLink:
    """The link of a worker that Ray Train has started, perhaps on another machine.

    Attributes:
        channel: The `Channel` that the job reads.
        stall_s: How long workers wait for one that stands still, s.
    """

    channel: Any
    stall_s: float

    def workers(self) -> WorkerGroup:
        """The group that this worker belongs to."""
        context = ray.train.get_context()
        return WorkerGroup(ray.train.torch.get_device(), context.get_world_rank(), context.get_world_size())

    def send(self, message: object | None) -> Instructions:
        """Give the job a message, unless it is None; returns the job's instructions."""
        return ray.get(self.channel.send.remote(message))

    def beating(self, rank: int) -> AbstractContextManager[None]:
        """Within it, the job learns where this worker is."""
        return heartbeat.beating(lambda place: self.channel.beat.remote(rank, place), self.stall_s)

    def epoch_saved(self, metrics: Mapping[str, Any]) -> None:
        """Tell Ray Train, which waits until all workers have done so."""
        ray.train.report(dict(metrics))
