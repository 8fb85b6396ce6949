"""What a training's workers and its driver say to each other."""

from dataclasses import dataclass
from typing import Any

import ray


@dataclass(frozen=True)
class Orders:
    """What the driver wants of a training that runs.

    Attributes:
        stop: End before the last epoch.
        epochs: Go on to this many epochs, then wait; None: to the end.
    """

    stop: bool = False
    epochs: int | None = None


@ray.remote(num_cpus=0)
class Mailbox:
    """Keeps what the workers say until the driver listens; their answer is what the driver wants."""

    def __init__(self, orders: Orders) -> None:
        self._messages: list[Any] = []
        self._orders = orders

    def say(self, message: object | None) -> Orders:
        """Leave a message; None only asks."""
        if message is not None:
            self._messages.append(message)
        return self._orders

    def hear(self) -> list[Any]:
        """All that was said since the last time."""
        messages, self._messages = self._messages, []
        return messages

    def order(self, orders: Orders) -> None:
        """Change what is wanted: heard at the next step that the workers tell of."""
        self._orders = orders
