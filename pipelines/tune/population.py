"""Trials of one population: those ahead wait for the others, and none is trained by two processes at once."""

import time
from collections.abc import Iterable
from typing import Any

import ray

from pipelines.ray_cluster import session
from schemas.errors import RunFailed

# A trial that cannot start must not keep the others for ever, one of slow epochs must not be left behind.
WAITING_S = 3600
# Longer than a training takes to stop.
HOLDING_S = 120
# Between two looks.
LOOKING_INTERVAL_S = 0.2


@ray.remote(num_cpus=0)
class Population:
    """Knows how far the trials are that go on from each other: those ahead wait, or they would be compared with nobody.

    Args:
        numbers: Trials that have yet to train.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._epochs = dict.fromkeys(numbers, 0)

    def reached(self, number: int, epoch: int) -> int:
        """A trial has ended an epoch; returns the epoch that all have ended."""
        self._epochs[number] = epoch
        return min(self._epochs.values())

    def left(self, number: int) -> None:
        """A trial has ended, and nobody waits for it any more."""
        self._epochs.pop(number, None)


def wait_for(population: Any, number: int, epoch: int, compared: int) -> None:
    """Tell that a trial has ended an epoch; return once all others have ended epoch `compared`, or take too long."""
    deadline = time.monotonic() + WAITING_S
    while time.monotonic() < deadline and _reached(population, number, epoch) < compared:
        time.sleep(LOOKING_INTERVAL_S)


def _reached(population: Any, number: int, epoch: int) -> Any:
    return ray.get(population.reached.remote(number, epoch))


@ray.remote(num_cpus=0)
class _Hold:
    """Its name is taken as long as it lives, which is as long as who made it lives."""


def hold(name: str) -> Any:
    """Wait until no other process trains the trial: Tune starts a trial anew while it still ends."""
    deadline = time.monotonic() + HOLDING_S
    while True:
        try:
            return _Hold.options(name=f"trial {name}", scheduling_strategy=session.here()).remote()
        except ValueError as error:
            if time.monotonic() > deadline:
                raise RunFailed("the trial's last process does not end") from error
            time.sleep(LOOKING_INTERVAL_S)
