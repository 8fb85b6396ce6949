"""Room for a training's workers on a cluster whose machines may come only when they are asked for."""

import logging

from ray.util import placement_group, remove_placement_group

from pipelines.ray_cluster.machines import machine_resources
from pipelines.training.fitting import cpus_of_worker, in_words
from schemas.configs.resources import ResourcesConfig
from schemas.errors import RunFailed, UserError

log = logging.getLogger(__name__)


def cpus_of_worker_here(resources: ResourcesConfig) -> float:
    """The CPUs of each worker on the cluster; waits for machines if the user allows it (`resources.wait_s`).

    Raises:
        UserError: The workers do not fit the machines, and none are waited for.
        RunFailed: No such machines have come.
    """
    try:
        return cpus_of_worker(machine_resources(), resources)
    except UserError as error:
        if not resources.wait_s:
            raise UserError(f"{error}, or resources.wait_s=1800 where an autoscaler adds machines") from error
        _wait(resources, str(error).partition(";")[0])
    return cpus_of_worker(machine_resources(), resources)


def _wait(resources: ResourcesConfig, missing: str) -> None:
    cpus = resources.cpus_per_worker or 1
    each = {"CPU": cpus} | ({"GPU": resources.gpus} if resources.use_gpu else {})
    needed, most_s = in_words(resources, cpus), resources.wait_s
    log.warning("waiting for room for %s, %g s at most (resources.wait_s): %s", needed, most_s, missing)
    # Autoscalers add machines for a group that waits. It belongs to this process and does not outlive it.
    group = placement_group([each] * resources.num_workers)
    try:
        if not group.wait(most_s):
            raise RunFailed(
                f"resources.wait_s={most_s:g}: no machines have come ({missing}); see why (ray status), or ask for less"
            )
    finally:
        remove_placement_group(group)
