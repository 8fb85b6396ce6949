"""How many trials a cluster has room for at a time."""

from dataclasses import dataclass

import ray

from pipelines.ray_cluster import session
from pipelines.training.fitting import workers_on
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

# Memory of a trial's own process beside its workers: Python, PyTorch and Ray. It reserves no CPU, because it computes
# next to nothing and a reserved CPU would be missing to the workers.
TRIAL_MEMORY_BYTES = 500 * 10**6


@dataclass(frozen=True)
class TrialCapacity:
    """What a cluster has room for at a time.

    Attributes:
        trials: Number of trials.
        workers: Number of training workers, of all trials together.
    """

    trials: int
    workers: int


def trial_capacity(config: TuneConfig, trials: int) -> TrialCapacity:
    """How many trials fit the cluster at a time, so that none waits for workers that another one holds.

    Args:
        config: The search.
        trials: Number of its trials.

    Raises:
        UserError: Not even one fits, or a population does not fit as a whole.
    """
    session.connect(dashboard=True)
    requested, cpus = config.resources, config.resources.cpus_per_worker or 1
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    workers = sum(workers_on(node, cpus, requested.gpus) for node in nodes)
    by_memory = sum(int(node.get("memory", 0) // TRIAL_MEMORY_BYTES) for node in nodes)
    fit = min(workers // requested.num_workers, by_memory)
    each = f"{cpus:g} CPUs" + (f" and {requested.gpus:g} GPUs" if requested.use_gpu else "")
    if workers < requested.num_workers:
        raise UserError(
            f"resources.num_workers={requested.num_workers}: a trial's workers take {each} each, the cluster has room "
            f"for {workers}; give fewer workers, or resources that fit"
        )
    if by_memory == 0:
        raise UserError(
            f"output={config.output}: a trial takes {TRIAL_MEMORY_BYTES / 1e6:.0f} MB beside its workers, and no "
            "machine of the cluster has them; free some memory"
        )
    capacity = TrialCapacity(min(fit, config.max_concurrent_trials or fit), workers)
    if config.scheduler == "pbt":
        _require_population(config, trials, capacity)
    return capacity


def _require_population(config: TuneConfig, trials: int, capacity: TrialCapacity) -> None:
    """Population-based training runs all trials at the same time, because they continue from each other."""
    if trials < 2:
        raise UserError(f"trials={trials}: scheduler=pbt compares trials with each other; give at least 2")
    if trials > capacity.trials:
        raise UserError(
            f"trials={trials}: scheduler=pbt trains all trials at the same time, and {capacity.trials} fit "
            f"(resources.num_workers={config.resources.num_workers}, {capacity.workers} workers in all, "
            f"max_concurrent_trials={config.max_concurrent_trials}); give trials={capacity.trials} or smaller trials"
        )
