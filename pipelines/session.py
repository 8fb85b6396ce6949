"""The Ray session of a job: the cluster that `RAY_ADDRESS` names, else one embedded in this process."""

import logging
import os

import ray
from ray.data import DataContext

# Room for the clips in flight on a small machine; the rest of the memory belongs to detectors and decoders.
EMBEDDED_STORE_BYTES_PER_CPU = 256 * 10**6


def connect() -> None:
    """Join or start Ray, quietly; does nothing where this process has a session already."""
    if ray.is_initialized():
        return
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level=logging.WARNING)
    else:
        ray.init(
            address="local",
            include_dashboard=False,
            logging_level=logging.WARNING,
            object_store_memory=EMBEDDED_STORE_BYTES_PER_CPU * (os.cpu_count() or 1),
        )
    context = DataContext.get_current()
    context.enable_progress_bars = False  # jobs draw their own, in videos, not in blocks
    context.print_on_execution_start = False
