"""The Ray session of a job: the cluster that `RAY_ADDRESS` names, else one embedded in this process.

Ray is imported by the functions that use it, because its import takes a second of CPU and a job with nothing to do
never starts it.
"""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.io.machine import usable_memory_bytes, whole_cpus
from pipelines.ray_cluster.surroundings import give_token, require_cluster, store_folder, temporary_folder
from schemas.errors import RunFailed, UserError

if TYPE_CHECKING:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

# Room for the clips in flight on a small machine, bytes; the rest of the memory belongs to detectors and decoders.
EMBEDDED_STORE_BYTES_PER_CPU = 256 * 10**6
# A training of one worker has five processes, of which all but one sleep. Ray warns on standard output once it has
# started four times as many processes as it starts at a time, so this limit is raised.
PROCESSES_STARTED_AT_A_TIME_PER_CPU = 3


def connect(*, dashboard: bool = False) -> None:
    """Join or start Ray, quietly; does nothing where this process has a session already.

    Args:
        dashboard: Start an embedded Ray with its dashboard, reachable from this machine only. It takes about 1 GB;
            searches need it, because without it Ray does not clean up after trials that are stopped.

    Raises:
        UserError: No cluster answers at `RAY_ADDRESS`, or this machine has no folder that Ray can work in.
        RunFailed: Ray does not start on this machine, for example because it has no memory left; or the cluster's
            machines have not come in time (`RAYLIFT_EXPECTED_CPUS`, `RAYLIFT_EXPECTED_GPUS`).
    """
    from ray.data import DataContext

    context = DataContext.get_current()
    # Ray Data's own progress bars are off, because they count blocks; jobs show their progress in videos.
    context.enable_progress_bars = False
    # With this threshold, a pool whose processes are all busy grows as soon as a new machine has room.
    context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    _start(dashboard)
    # The levels are set last, because importing and starting Ray sets them too.
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # With few videos some detectors are idle; Ray warns of it and suggests a remedy that Raylift has no setting for.
    warnings.filterwarnings("ignore", message="The minimum number of concurrent actors", category=UserWarning)


def is_embedded() -> bool:
    """Whether Ray would run in this process, on this machine alone: it has no session yet, and no cluster is named."""
    ray = sys.modules.get("ray")
    return not os.environ.get("RAY_ADDRESS") and (ray is None or not ray.is_initialized())


def here() -> "NodeAffinitySchedulingStrategy":
    """Places an actor on the machine of this process, which needs it, so that neither is lost without the other.

    Without it Ray may place an actor that takes no resources on any machine.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _start(dashboard: bool) -> None:
    import ray

    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        require_cluster(address)
    else:
        give_token()
    # What Ray logs about itself does not help a user; exceptions in workers reach this process in any case.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    on_termination = signal.getsignal(signal.SIGTERM)
    with _no_stderr():
        if address:
            _join(address)
        else:
            _start_embedded(dashboard)
    # With RAY_LOGGING_CONFIG_ENCODING, `ray.init` adds a handler, which would print each line of this process twice.
    root.handlers[:] = handlers
    # Ray's own handler of SIGTERM would end this process with a dump, before jobs handle the interruption.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_termination)
    root.setLevel(level)
    if address:
        from pipelines.ray_cluster.expected import wait_for_machines

        wait_for_machines()


def _start_embedded(dashboard: bool) -> None:
    import ray

    at_a_time = PROCESSES_STARTED_AT_A_TIME_PER_CPU * whole_cpus()
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(at_a_time))
    temporary = temporary_folder()
    store_bytes = min(EMBEDDED_STORE_BYTES_PER_CPU * whole_cpus(), usable_memory_bytes() // 3)
    store = store_folder(store_bytes, temporary)
    try:
        with _loopback_only():
            ray.init(
                address="local",
                # By itself, Ray counts all CPUs of the machine even if this process may use only some, and finds none
                # in half a CPU.
                num_cpus=whole_cpus(),
                include_dashboard=dashboard,
                logging_level=logging.ERROR,
                log_to_driver=False,
                object_store_memory=store_bytes,
                _plasma_directory=store,
                _temp_dir=temporary,
            )
    except Exception as error:  # Ray raises many kinds, `Exception` itself among them
        ray.shutdown()
        raise RunFailed(
            f"ray: does not start on this machine: {_first_line(error)}; it needs about 1 GB of memory and some "
            "seconds of its CPUs: end what else runs here, then run the same command again"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _join(address: str) -> None:
    import ray
    from ray.exceptions import RayError

    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False)
    # The cluster has another version or token, or is not a cluster: Ray raises many kinds of errors for these.
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise UserError(
            f"RAY_ADDRESS={address}: the cluster cannot be joined: {_first_line(error)}; see that it runs, with "
            f"the Ray of this environment ({ray.__version__}), or unset RAY_ADDRESS to work on this machine alone"
        ) from error


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Let an embedded Ray listen on the loopback address only.

    Ray does so by itself on systems for which it has no clusters (Windows, macOS), and elsewhere on all addresses.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Silence standard error at the level of the file descriptor, because Ray's native code prints there too."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
