"""Processes items in batches, which are halved when they do not fit the GPU's memory."""

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from pipelines.io.gpus import is_out_of_memory

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Batches:
    """Splits work into batches of at most `size` items.

    If a batch does not fit the GPU's memory, it and all later ones are halved, and this is logged once.

    Args:
        size: Largest number of items of a batch at first.
        what: Name of the items, for the log.
    """

    def __init__(self, size: int, what: str) -> None:
        self.size = size
        self._what = what
        self._logged = False

    def __call__(self, count: int, work: Callable[[slice], Result]) -> Iterator[Result]:
        """Do `work` on each part of `count` items, in order; the parts are as equal as they can be.

        Raises:
            torch.OutOfMemoryError: A single item does not fit.
        """
        start = 0
        while start < count:
            left = count - start
            stop = start + -(-left // -(-left // self.size))
            done: list[Result] = []
            try:
                done.append(work(slice(start, stop)))
            except RuntimeError as error:
                if stop - start == 1 or not is_out_of_memory(error):
                    raise
            # This is outside of the handler, because the error keeps the tensors of its whole traceback alive.
            if done:
                yield done.pop()
                start = stop
            else:
                self._halve(stop - start)

    def _halve(self, tried: int) -> None:
        self.size = tried // 2
        torch.cuda.empty_cache()
        if not self._logged:
            self._logged = True
            _log.warning(
                "%d %s at once do not fit the GPU's memory: going on with %d, or fewer if need be",
                *(tried, self._what, self.size),
            )
