"""The Ray session of a job: the cluster that `RAY_ADDRESS` names, else one embedded in this process."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import ray_constants
from ray.data import DataContext
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

# Room for the clips in flight on a small machine; the rest of the memory belongs to detectors and decoders.
EMBEDDED_STORE_BYTES_PER_CPU = 256 * 10**6
# Trainings of one worker have five processes each, all but one of which sleep; Ray remarks on standard output when it
# has started four times as many as it starts at a time.
PROCESSES_STARTED_AT_A_TIME_PER_CPU = 3


def connect(*, dashboard: bool = False) -> None:
    """Join or start Ray, quietly; does nothing where this process has a session already.

    Args:
        dashboard: Start an embedded Ray with its dashboard, reachable from this machine only: about 1 GB, which only
            those need who rely on Ray to clean up behind processes that die.
    """
    context = DataContext.get_current()
    # Jobs draw their own progress, in videos, not in blocks.
    context.enable_progress_bars = False
    # A pool all of whose processes are busy grows where a machine that joined has room.
    context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    if ray.is_initialized():
        return
    # Ray's remarks on how it runs are no news to who labels videos; a worker's exception reaches the driver anyway.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with _no_stderr():
        if os.environ.get("RAY_ADDRESS"):
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        else:
            at_a_time = PROCESSES_STARTED_AT_A_TIME_PER_CPU * (os.cpu_count() or 1)
            os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(at_a_time))
            with _loopback_only():
                ray.init(
                    address="local",
                    include_dashboard=dashboard,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    object_store_memory=EMBEDDED_STORE_BYTES_PER_CPU * (os.cpu_count() or 1),
                )
    # RAY_LOGGING_CONFIG_ENCODING is for the workers: this process writes its own lines, and each of them once.
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Few videos leave some detectors idle; the remedy that Ray names is none of the user's.
    warnings.filterwarnings("ignore", message="The minimum number of concurrent actors", category=UserWarning)


def here() -> NodeAffinitySchedulingStrategy:
    """For actors that this process cannot do without: on its own machine, whose loss is the loss of both.

    Ray puts an actor that takes no resources on any machine.
    """
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Start Ray as it starts where there are no clusters: elsewhere its processes listen on all addresses."""
    kept = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = kept


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Silence this process's standard error, that of native code too: Ray announces even its silence there."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
