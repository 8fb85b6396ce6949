"""Tells failures of a training that a retry would repeat from the loss of a process or a machine."""

import traceback
from pathlib import Path

from ray.exceptions import RayError
from torch.distributed import DistError

from pipelines.io.gpus import is_out_of_memory
from schemas.errors import RunFailed


class DeterministicFailure(RunFailed):
    """A training that would end the same way if it were tried again with the same settings on the same machines."""


class Diverged(DeterministicFailure):
    """The loss is not finite."""


def to_deterministic(error: Exception) -> DeterministicFailure | None:
    """The failure that a worker's exception stands for; None if another process or machine was lost.

    Workers that wait for a lost one get an error of the library through which they wait.
    """
    # Gloo, the collective communication on CPUs, has no exception class of its own.
    if isinstance(error, RayError | DistError | ConnectionError) or "gloo" in str(error).lower():
        return None
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or is_out_of_memory(error) or "can't allocate memory" in text:
        return DeterministicFailure(
            f"training: out of memory ({text or type(error).__name__}); give a larger "
            "optimization.accumulate, a smaller optimization.batch_size, a smaller lifter or network, or more "
            "resources.num_workers"
        )
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(frame[0].filename).name}:{frame[0].lineno})" if frame else ""
    return DeterministicFailure(f"training: {type(error).__name__}: {text}{where}")
