"""Logs when processes of a job find no room on the cluster, because Ray waits for room silently and for ever."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import ray
from ray._private import state
from ray.util.placement_group import placement_group_table

from pipelines.ray_cluster.machines import machine_resources

# Processes that fit are placed within seconds, even while others start, so a warning comes after this time, s.
SAY_AFTER_S, _LOOK_EVERY_S = 40.0, 5.0

_log = logging.getLogger(__name__)


@contextmanager
def told_if_nothing_fits(asked: str, after_s: float = SAY_AFTER_S) -> Iterator[threading.Event]:
    """Log once if processes that this job has asked for have no place after some time.

    The job goes on waiting: machines may join the cluster, and other jobs end.

    Args:
        asked: What it has asked for, in words.
        after_s: How long processes wait in silence, s.

    Yields:
        What ends the watch when it is set.
    """
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(asked, after_s, ended), daemon=True)
    watch.start()
    try:
        yield ended
    finally:
        ended.set()
        watch.join()


def _watch(asked: str, after_s: float, ended: threading.Event) -> None:
    look_every_s = min(_LOOK_EVERY_S, after_s / 2)
    waited_s = 0.0
    # If the cluster cannot be asked, it is lost, and the job's own calls report that.
    with suppress(Exception):
        while not ended.wait(look_every_s):
            waited_s = waited_s + look_every_s if _something_waits() else 0.0
            if waited_s >= after_s:
                _log.warning(
                    "waiting: the cluster has no room for what the job asks for (%s): %s; it goes on once there is "
                    "room: add machines, let other jobs end, or ask for less",
                    *(asked, _room()),
                )
                return


def _something_waits() -> bool:
    """Whether an actor or a group of workers of this job has no place yet."""
    job = ray.get_runtime_context().get_job_id()
    actors = (actor for actor in state.actors(job_id=ray.JobID.from_hex(job)).values())
    if any(actor["State"] == "PENDING_CREATION" and not actor["Address"]["IPAddress"] for actor in actors):
        return True
    # The name of a placement group ends with that of its job.
    groups = placement_group_table().items()
    return any(name.endswith(job) and group["state"] == "PENDING" for name, group in groups)


def _room() -> str:
    nodes = machine_resources()
    free = ray.available_resources()
    cpus, gpus = (max((node.get(kind, 0) for node in nodes), default=0) for kind in ("CPU", "GPU"))
    machines = f"{len(nodes)} machine{'s' * (len(nodes) != 1)}, the largest with {cpus:g} CPUs and {gpus:g} GPUs"
    return f"{machines}; free now in all: {free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs"
