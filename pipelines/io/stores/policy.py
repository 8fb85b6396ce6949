"""What jobs want of every object store: patient with a busy one, plain about one that is gone or refuses.

Each store has a file of its own: `s3`, `gcs`.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from schemas.errors import RunFailed, UserError

# Longer than a store needs to grow with a sudden load; a job of hours should not end for less.
PATIENCE_S = 60.0
# Between two attempts: at first, after a connection that broke; at most, for a store that is down.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
# How long one that has failed for good is not asked again.
_GONE_S = 10.0

_Answer = TypeVar("_Answer")


class StoreRefused(UserError, PermissionError):
    """The store does not let us: of one video it is that video's failure, of an output the user's."""


class StoreGone(RunFailed):
    """The store has not worked for too long: nothing else is to be had from it either.

    No `OSError`: who treats those as one file's fault would blame every file.
    """


class PassingFault(Exception):
    """What a later attempt may mend; says how it failed."""


@dataclass(frozen=True)
class Seen:
    """An object as it was a moment ago.

    Attributes:
        etag: What tells it from what was there before.
        metadata: What its writer said of it.
        age_s: Since it was written, by the store's own clock.
    """

    etag: str
    metadata: dict[str, str]
    age_s: float


class Patience:
    """One policy for faults: a call is repeated for `patience_s`, then it has failed for good.

    Then all calls fail at once for a while: who treats a hundred videos one by one should not wait for each.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = float(patience_s)
        self._gone: tuple[float, str] | None = None

    async def call(self, attempt: Callable[[], Awaitable[_Answer]], told: Callable[[], str]) -> _Answer:
        """The answer to a call.

        Args:
            attempt: Asks once; raises `PassingFault` where asking again may help.
            told: What is asked of whom, for messages, without secrets.

        Raises:
            StoreGone: It has failed for too long.
        """
        failing_since, pause_s = None, _SHORTEST_PAUSE_S
        if self._gone and time.monotonic() < self._gone[0]:
            raise StoreGone(self._gone[1])
        while True:
            try:
                answer = await attempt()
            except PassingFault as fault:
                # Not since it was called: an upload may take long before it breaks off.
                failing_since = failing_since or time.monotonic()
                # Gone a while ago and still gone: no use in being patient again.
                if self._gone or time.monotonic() - failing_since > self._patience_s:
                    failed = f"{told()} has failed for {self._patience_s:g} s: {fault}"
                    failed += "; what is finished is kept, run the same command when it works again"
                    self._gone = time.monotonic() + _GONE_S, failed
                    raise StoreGone(failed) from fault.__cause__
            else:
                self._gone = None
                return answer
            # Not all processes at once.
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def refused(told: str, reason: str) -> StoreRefused:
    """What to raise where a store lacks no patience but rights."""
    return StoreRefused(f"{told} refuses: {reason}; see the credentials")
