"""Population-based training: trials that are ahead wait for the others, and no trial is trained by two processes."""

import time
from collections.abc import Iterable
from typing import Any

import ray

from pipelines.ray_cluster import session
from schemas.errors import RunFailed

# Longest wait for the other trials, s: longer than a slow epoch, but limited, because a trial that cannot start must
# not hold up the others for ever.
LONGEST_WAIT_S = 3600
# Longest wait for the previous process of a trial to end, s: longer than a training takes to stop.
LONGEST_SHUTDOWN_S = 120
POLL_INTERVAL_S = 0.2


@ray.remote(num_cpus=0)
class Population:
    """Knows the epoch of each trial. Trials that are ahead wait, so that all can be compared at the same epoch.

    Args:
        numbers: The trials that are not finished.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._epochs = dict.fromkeys(numbers, 0)

    def reached(self, number: int, epoch: int) -> int:
        """Note that a trial has ended an epoch; returns the last epoch that all trials have ended."""
        self._epochs[number] = epoch
        return min(self._epochs.values())

    def left(self, number: int) -> None:
        """Note that a trial has ended, so that none waits for it any more."""
        self._epochs.pop(number, None)


def wait_for(population: Any, number: int, epoch: int, compared: int) -> None:
    """Note that a trial has ended an epoch, and wait until all others have ended epoch `compared` or take too long."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline and _reached(population, number, epoch) < compared:
        time.sleep(POLL_INTERVAL_S)


def _reached(population: Any, number: int, epoch: int) -> Any:
    return ray.get(population.reached.remote(number, epoch))


@ray.remote(num_cpus=0)
class _Lock:
    """An actor whose name is taken as long as it lives, which is as long as the process that made it lives."""


def lock_trial(name: str) -> Any:
    """Wait until no other process trains the trial: Tune restarts a trial while its previous process still ends."""
    deadline = time.monotonic() + LONGEST_SHUTDOWN_S
    while True:
        try:
            return _Lock.options(name=f"trial {name}", scheduling_strategy=session.here()).remote()
        except ValueError as error:
            if time.monotonic() > deadline:
                raise RunFailed("the trial's last process does not end") from error
            time.sleep(POLL_INTERVAL_S)
