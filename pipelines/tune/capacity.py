"""How many trials a cluster has room for at a time."""

import time
from dataclasses import dataclass

from pipelines.ray_cluster import session
from pipelines.ray_cluster.machines import machine_resources
from pipelines.training import fitting
from pipelines.training.fitting import workers_on
from pipelines.training.room import cpus_of_worker_here
from schemas.configs.resources import ResourcesConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

# Memory of a trial's own process, bytes, for Python, PyTorch and Ray.
TRIAL_MEMORY_BYTES = 500 * 10**6
# The machines are counted at this interval, s, because they join within minutes.
COUNT_EVERY_S = 5.0


@dataclass(frozen=True)
class TrialCapacity:
    """The number of trials that a cluster has room for at a time.

    Attributes:
        trials: Number of trials.
        workers: Number of training workers, of all trials together.
    """

    trials: int
    workers: int


NO_ROOM = TrialCapacity(0, 0)


def require_room_here(config: TuneConfig) -> None:
    """Check at once, before Ray starts, that a trial fits this machine; does nothing where a cluster computes.

    Raises:
        UserError: It does not fit.
    """
    fitting.require_room_here(_of_a_trial(config))


def trial_capacity(config: TuneConfig, trials: int) -> TrialCapacity:
    """How many trials fit the cluster at a time, so that none waits for workers that another one holds.

    Args:
        config: The search.
        trials: Number of its trials.

    Raises:
        UserError: Not even one fits, or a population does not fit as a whole.
        RunFailed: Machines that were waited for have not come.
    """
    session.connect(dashboard=True)
    cpus_of_worker_here(_of_a_trial(config))
    workers, by_memory = _room(config)
    if by_memory == 0:
        raise UserError(
            f"output={config.output}: a trial takes {TRIAL_MEMORY_BYTES / 1e6:.0f} MB beside its workers, and no "
            "machine of the cluster has them; free some memory"
        )
    capacity = TrialCapacity(_at_a_time(config, workers, by_memory), workers)
    if config.scheduler == "pbt":
        _require_population(config, trials, capacity)
    return capacity


class GrowingCapacity:
    """How many trials fit at a time, counted again now and then, because machines join a cluster and leave it.

    Args:
        config: The search.
        trials: How many fit now.
    """

    def __init__(self, config: TuneConfig, trials: int) -> None:
        self._config, self._trials, self._counted_at = config, trials, time.monotonic()

    @property
    def trials(self) -> int:
        """How many trials fit at a time; at least one, because a cluster without machines may get one."""
        now = time.monotonic()
        # All members of a population run from the beginning, so their number stays.
        if self._config.scheduler != "pbt" and now - self._counted_at > COUNT_EVERY_S:
            self._trials, self._counted_at = max(1, _at_a_time(self._config, *_room(self._config))), now
        return self._trials


def _of_a_trial(config: TuneConfig) -> ResourcesConfig:
    """The resources of a trial, whose workers have one CPU each if nothing else is given."""
    cpus = config.resources.cpus_per_worker or 1
    return config.resources.model_copy(update={"cpus_per_worker": cpus})


def _room(config: TuneConfig) -> tuple[int, int]:
    """How many training workers fit the machines' CPUs and GPUs, and how many trials their memory."""
    resources, nodes = _of_a_trial(config), machine_resources()
    workers = sum(workers_on(node, resources.cpus_per_worker or 1, resources.gpus) for node in nodes)
    return workers, sum(int(node.get("memory", 0) // TRIAL_MEMORY_BYTES) for node in nodes)


def _at_a_time(config: TuneConfig, workers: int, by_memory: int) -> int:
    fit = min(workers // config.resources.num_workers, by_memory)
    return min(fit, config.max_concurrent_trials or fit)


def in_words(resources: ResourcesConfig, capacity: TrialCapacity) -> str:
    """The resources that a search uses at a time, in words."""
    return f"{capacity.trials} trials of {fitting.in_words(resources, resources.cpus_per_worker or 1)}"


def process_resources(resources: ResourcesConfig) -> dict[str, float]:
    """The resources that Ray Tune reserves for a trial's own process.

    Of several workers Ray Train reserves what they need; the trial's process then computes next to nothing.
    """
    memory = {"memory": float(TRIAL_MEMORY_BYTES)}
    if resources.num_workers > 1:
        return memory
    return memory | {"CPU": resources.cpus_per_worker or 1} | ({"GPU": resources.gpus} if resources.use_gpu else {})


def _require_population(config: TuneConfig, trials: int, capacity: TrialCapacity) -> None:
    """Check that all trials fit at the same time: those of a population continue from each other."""
    if trials < 2:
        raise UserError(f"trials={trials}: scheduler=pbt compares trials with each other; give at least 2")
    if trials > capacity.trials:
        raise UserError(
            f"trials={trials}: scheduler=pbt trains all trials at the same time, and {capacity.trials} fit "
            f"(resources.num_workers={config.resources.num_workers}, {capacity.workers} workers in all, "
            f"max_concurrent_trials={config.max_concurrent_trials}); give trials={capacity.trials} or smaller trials"
        )
