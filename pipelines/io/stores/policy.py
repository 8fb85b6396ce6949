"""The policy for errors of object stores, which `s3` and `gcs` apply.

A busy store is asked again for a while; after that the job ends with a clear error.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from schemas.errors import RunFailed, UserError

# A failing call is repeated for this long, s. Stores need less time to scale up under a sudden load, and a job that has
# run for hours should not end because of a shorter outage.
PATIENCE_S = 60.0
# The pause between two attempts is short at first, because a connection may just have broken, and doubles every time.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
# For this long after a call has finally failed, s, all further calls fail at once.
_GONE_S = 10.0

_Answer = TypeVar("_Answer")


class StoreRefused(UserError, PermissionError):
    """The store denies access.

    For a video this counts as the failure of that video, for an output as a mistake of the user; hence both bases.
    """


class StoreGone(RunFailed):
    """The store has failed for too long, so no file can be read from it or written to it.

    It is no `OSError`, because callers handle an `OSError` as the failure of a single file.
    """


class PassingFault(Exception):
    """An error after which another attempt may succeed; its text is the reason."""


@dataclass(frozen=True)
class ObjectState:
    """An object at the time of a request.

    Attributes:
        etag: Identifies this version of the object.
        metadata: The metadata that its writer gave it.
        age_s: Time since it was written, s, by the store's clock.
    """

    etag: str
    metadata: dict[str, str]
    age_s: float


class Patience:
    """Repeats a failing call for `patience_s` seconds before it gives up.

    After that, all calls fail at once for a while, so that a job does not wait again for each of a hundred videos.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = float(patience_s)
        self._gone: tuple[float, str] | None = None

    async def call(self, attempt: Callable[[], Awaitable[_Answer]], describe: Callable[[], str]) -> _Answer:
        """Make a call until it succeeds; returns its answer.

        Args:
            attempt: Makes the call once; raises `PassingFault` if another attempt may succeed.
            describe: Returns the address and the store, without secrets, for messages.

        Raises:
            StoreGone: The call has failed for too long.
        """
        failing_since, pause_s = None, _SHORTEST_PAUSE_S
        if self._gone and time.monotonic() < self._gone[0]:
            raise StoreGone(self._gone[1])
        while True:
            try:
                answer = await attempt()
            except PassingFault as fault:
                # The time counts from the first failure, because an upload may have taken long before it broke off.
                failing_since = failing_since or time.monotonic()
                # If the store has already failed and still does not answer, it is not waited for again.
                if self._gone or time.monotonic() - failing_since > self._patience_s:
                    message = f"{describe()} has failed for {self._patience_s:g} s: {fault}"
                    message += "; what is finished is kept, run the same command when it works again"
                    self._gone = time.monotonic() + _GONE_S, message
                    raise StoreGone(message) from fault.__cause__
            else:
                self._gone = None
                return answer
            # A random pause keeps many processes from asking at the same time.
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def refused(request: str, reason: str) -> StoreRefused:
    """The error for a request that the store denies."""
    return StoreRefused(f"{request} refuses: {reason}; see the credentials")
