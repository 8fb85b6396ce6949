"""A step that does not fit the GPU's memory, and in how many parts it would."""

from collections.abc import Callable
from typing import TypeVar

import torch

from pipelines.io.gpus import is_out_of_memory
from pipelines.training.failures import DeterministicFailure

Result = TypeVar("Result")


def do_in_parts(parts: int, most: int, do: Callable[[int], Result], forget: Callable[[], None], alone: bool) -> Result:
    """Do the work of a step in some parts.

    Args:
        parts: Number of parts.
        most: Largest number of parts that the batch allows.
        do: Does it in this number of parts.
        forget: Drops what a try that failed has left.
        alone: Whether there are no other workers, so that this one may try what would fit.

    Raises:
        DeterministicFailure: It does not fit the memory; the message says in how many parts it would.
    """
    result, reason = _tried(parts, do)
    if result is not None:
        return result[0]
    while alone and parts < most:
        parts = min(2 * parts, most)
        forget()
        torch.cuda.empty_cache()
        if _tried(parts, do)[0] is not None:
            raise DeterministicFailure(
                f"training: out of memory ({reason}); this batch fits with optimization.accumulate={parts}: give that, "
                "a smaller optimization.batch_size, or more resources.num_workers"
            )
    raise DeterministicFailure(
        f"training: out of memory ({reason}); give a larger optimization.accumulate, a smaller "
        "optimization.batch_size, a smaller lifter or network, or more resources.num_workers"
    )


def _tried(parts: int, do: Callable[[int], Result]) -> tuple[tuple[Result] | None, str]:
    """The result, or why there is none: an error would keep the tensors of its whole traceback alive."""
    try:
        return (do(parts),), ""
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None, " ".join(str(error).split())
