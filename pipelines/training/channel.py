"""The channel between a training's workers and its driver: reports go one way, instructions the other."""

import math
from dataclasses import dataclass, replace
from typing import Any

import ray

from pipelines.training.heartbeat import Heartbeats, Place


@dataclass(frozen=True)
class Instructions:
    """The driver's instructions to the workers of a running training.

    Attributes:
        stop: Whether to end before the last epoch.
        epochs: Train up to this epoch, then wait for new instructions; None: train to the end.
    """

    stop: bool = False
    epochs: int | None = None


@ray.remote(num_cpus=0)
class Channel:
    """An actor that keeps the workers' messages until the driver receives them, and hands out its instructions."""

    def __init__(self, instructions: Instructions, still_after_s: float = math.inf) -> None:
        self._messages: list[Any] = []
        self._instructions = instructions
        self._failed = False
        self._heartbeats = Heartbeats(still_after_s)

    def send(self, message: object | None) -> Instructions:
        """Leave a message for the driver and return its instructions; None leaves no message.

        Once a worker has left an exception, all of them are told to stop, those that replace dead ones too.
        """
        if message is not None:
            self._messages.append(message)
        self._failed = self._failed or isinstance(message, Exception)
        return replace(self._instructions, stop=self._instructions.stop or self._failed)

    def receive(self) -> list[Any]:
        """The messages sent since the last call."""
        messages, self._messages = self._messages, []
        still = self._heartbeats.standing_still()
        return messages if still is None else [*messages, still]

    def beat(self, rank: int, place: Place) -> None:
        """A worker tells where it is."""
        self._heartbeats.beat(rank, place)

    def instruct(self, instructions: Instructions) -> None:
        """Replace the instructions; workers get the new ones with their next message."""
        self._instructions = instructions
