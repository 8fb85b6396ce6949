"""Hands requests to lifter processes: the requests that arrive while all are busy go to the next free one as a batch.

Nothing waits in order to make a batch larger: a single client gets its answers as fast as without batches, and the more
clients ask, the larger batches become.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pipelines.serve.batches import Answer


@dataclass(frozen=True)
class Answered:
    """The answers to a batch.

    Attributes:
        model: The lifter that made them.
        answers: In the order of the requests.
    """

    model: str
    answers: Sequence[Answer]


Replica = Callable[[Sequence[bytes]], Awaitable[Answered]]
"""Answers a batch; an exception means that the whole batch has no answers."""


class Dispatcher:
    """Gives each request to one of several replicas; used by one event loop.

    Args:
        replicas: Each gets one batch at a time.
        batch_requests: Most requests of a batch.
        on_batch: Called with the number of requests of each batch.
    """

    def __init__(self, replicas: Sequence[Replica], batch_requests: int, on_batch: Callable[[int], None]) -> None:
        self._waiting: deque[tuple[bytes, asyncio.Future[tuple[str, Answer]]]] = deque()
        self._came = asyncio.Condition()
        self._batch_requests, self._on_batch = batch_requests, on_batch
        self._tasks = [asyncio.create_task(self._serve(replica)) for replica in replicas]

    async def ask(self, body: bytes) -> tuple[str, Answer]:
        """The answer to a request and the name of the lifter that made it; cancelled requests are dropped."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append((body, answer))
        async with self._came:
            self._came.notify()
        return await answer

    async def close(self) -> None:
        """End; requests that still wait get no answer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, replica: Replica) -> None:
        while True:
            async with self._came:
                await self._came.wait_for(lambda: self._waiting)
            if not (batch := self._take()):
                continue
            self._on_batch(len(batch))
            try:
                answered = await replica([body for body, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(batch, answered.answers, strict=True):
                if not future.done():
                    future.set_result((answered.model, answer))

    def _take(self) -> list[tuple[bytes, "asyncio.Future[tuple[str, Answer]]"]]:
        batch = []
        while self._waiting and len(batch) < self._batch_requests:
            body, future = self._waiting.popleft()
            if not future.done():  # otherwise its client has stopped waiting
                batch.append((body, future))
        return batch
