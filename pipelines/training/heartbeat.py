"""Says which worker of a training stands still, and where: a thread of each tells the job where the worker is.

Workers that wait for one that stands still know only that they wait. Libraries give up after a time, each in its own
words, and on GPUs by ending the process.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

# Workers tell where they are this many times before they are given up.
_BEATS = 12
_LONGEST_INTERVAL_S = 5.0
_OURS = "/pipelines/"

# Steps that this process has done. A worker that is always met at the same line may still have moved.
_steps = 0


@dataclass(frozen=True)
class Place:
    """Where a worker is.

    Attributes:
        where: The innermost line of the project that it executes.
        steps: Steps that it has done.
    """

    where: str
    steps: int


@dataclass(frozen=True)
class StandingStill:
    """Sent once when no worker has moved for some time.

    Attributes:
        seconds: How long.
        places: Where each worker is, and how long it has been silent, s; by rank.
    """

    seconds: float
    places: dict[int, tuple[str, float]]

    def __str__(self) -> str:
        """A line that names the workers that stand still apart from those that wait for them."""
        each = [
            f"worker {rank} waits at {where}"
            if silent_s < self.seconds / 2
            else f"worker {rank} has been silent for {silent_s:.0f} s, since {where}"
            for rank, (where, silent_s) in sorted(self.places.items())
        ]
        return (
            f"training: nothing has moved for {self.seconds:.0f} s: {', '.join(each)}; if this lasts for "
            "resources.stall_s, the workers are replaced and go on from the last checkpoint"
        )


class Heartbeats:
    """What workers have told of themselves.

    Args:
        after_s: For how long nothing may move in silence, s.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._places: dict[int, Place] = {}
        self._moved: dict[int, float] = {}
        self._beat_at: dict[int, float] = {}
        self._reported: dict[int, Place] = {}

    def beat(self, rank: int, place: Place, now: float | None = None) -> None:
        """A worker tells where it is."""
        now = time.monotonic() if now is None else now
        if self._places.get(rank) != place:
            self._places[rank], self._moved[rank] = place, now
        self._beat_at[rank] = now

    def standing_still(self, now: float | None = None) -> StandingStill | None:
        """What to say if no worker has moved for too long; once, until one of them moves."""
        now = time.monotonic() if now is None else now
        if not self._moved or (seconds := now - max(self._moved.values())) < self._after_s:
            return None
        silent_s = {rank: now - at for rank, at in self._beat_at.items()}
        # Where all are silent they are being replaced.
        if self._places == self._reported or min(silent_s.values()) > seconds / 2:
            return None
        self._reported = dict(self._places)
        return StandingStill(seconds, {rank: (self._places[rank].where, silent_s[rank]) for rank in silent_s})


def count_step() -> None:
    """A worker of this process has done a step."""
    global _steps
    _steps += 1


@contextmanager
def beating(tell: Callable[[Place], object], given_up_after_s: float) -> Iterator[None]:
    """Tell where this thread is until the block ends.

    Args:
        tell: Takes the place, in another thread.
        given_up_after_s: When workers are given up that wait for others, s.
    """
    watched, ended = threading.get_ident(), threading.Event()
    interval_s = min(_LONGEST_INTERVAL_S, given_up_after_s / _BEATS)

    def beat() -> None:
        while True:
            # A job that is gone, or a frame that has ended meanwhile, is no reason to disturb the worker.
            with suppress(Exception):
                tell(Place(_where(sys._current_frames()[watched]), _steps))
            if ended.wait(interval_s):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _where(frame: FrameType | None) -> str:
    while frame is not None and _OURS not in frame.f_code.co_filename:
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename.rpartition(_OURS)[2]}:{frame.f_lineno}"
