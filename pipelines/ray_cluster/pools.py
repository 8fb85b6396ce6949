"""Pools of worker processes: how many fit on a cluster, and the Ray Data stages that they run.

The work of a stage is done by a plain class, which knows nothing of Ray. A failure that must end the job is in the
columns `user_error` and `run_failed` of its rows: an exception that a worker raises would reach the driver as text
within one of Ray's own, without its type.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.data import ActorPoolStrategy, Dataset

from pipelines.ray_cluster.waiting import told_if_nothing_fits
from schemas.errors import RunFailed, UserError

# CPUs reserved for a process that mostly waits for storage. They are not zero, because Ray may place a process of zero
# CPUs on a head node that is kept free of work.
WAITING_CPUS = 0.001
# The smallest number of CPUs that Ray can reserve.
LEAST_CPUS = 0.0001


@dataclass(frozen=True)
class Capacity:
    """What a cluster has.

    Attributes:
        cpus: Of all nodes.
        gpus: Of all nodes.
    """

    cpus: float
    gpus: float = 0.0

    @classmethod
    def of_cluster(cls) -> "Capacity":
        """The capacity of the cluster that this process is connected to."""
        resources = ray.cluster_resources()
        return cls(resources.get("CPU", 1.0), resources.get("GPU", 0.0))

    def processes(self, cpus: float, gpus: float = 0.0) -> int:
        """How many processes with these CPUs and GPUs each fit; at least one."""
        return max(1, int(self.cpus / cpus if gpus == 0 else min(self.cpus / cpus, self.share_gpus(gpus))))

    def share_gpus(self, gpus: float) -> int:
        """How many processes fit that use so many whole GPUs each, or a share of one: rests are not added up."""
        return int(self.gpus / gpus) if gpus >= 1 else int(self.gpus) * int(1 / gpus + 1e-9)

    def fraction(self, requested_cpus: float) -> float:
        """The fraction of the requested CPUs that exists, at most 1; rounded down to Ray's four decimals."""
        return min(1.0, int(1000 * self.cpus / requested_cpus) / 1000)


@dataclass(frozen=True)
class Pool:
    """The processes of a stage and what Ray reserves for each.

    Attributes:
        size: Processes at the start.
        cpus: CPUs of each.
        gpus: GPUs of each.
        max_size: Processes at most, as machines join the cluster; None: without limit.
    """

    size: int
    cpus: float
    gpus: float = 0.0
    max_size: int | None = 1

    def __str__(self) -> str:
        """The pool in words, for messages."""
        gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
        return f"{self.size} process{'es' * (self.size != 1)} of {self.cpus:.3g} CPUs{gpus}"


def fill_cluster(
    capacity: Capacity, processes: int | None, cpus: float, gpus: float, *, work: int, reserved_cpus: float = 0.0
) -> Pool:
    """The pool of a job's only stage that computes: it fills the cluster, and grows with it.

    Args:
        capacity: What the cluster has.
        processes: How many processes the user asks for; None: as many as fit. More than fit share the CPUs.
        cpus: CPUs of each process.
        gpus: GPUs of each process.
        work: Pieces of work; there are never more processes than pieces.
        reserved_cpus: CPUs that other processes of the job need.
    """
    size = max(1, min(processes or capacity.processes(cpus, gpus), work))
    left = Capacity(capacity.cpus - reserved_cpus, capacity.gpus)
    return Pool(size, left.fraction(size * cpus) * cpus, gpus, max_size=max(1, min(processes or work, work)))


def map_stage(
    rows: Dataset, stage: type, arguments: tuple[Any, ...], pool: Pool, *, batch_rows: int | None, in_flight: int
) -> Dataset:
    """The rows that a stage makes of others.

    Args:
        rows: What goes in.
        stage: The class of the stage, called with tables.
        arguments: Of its constructor.
        pool: The processes that run it.
        batch_rows: Rows of each table; None: those of a block.
        in_flight: Tables sent to each process at a time, the one that it works on among them.

    Raises:
        UserError: This machine, which works alone, has no room for a single process.
    """
    # More machines may join a cluster, so there a lack of room is only logged (`told_if_nothing_fits`).
    if not os.environ.get("RAY_ADDRESS"):
        require_room(pool, Capacity.of_cluster())
    return rows.map_batches(
        stage,
        fn_constructor_args=arguments,
        batch_size=batch_rows,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(min_size=pool.size, max_size=pool.max_size, max_tasks_in_flight_per_actor=in_flight),
        num_cpus=pool.cpus,
        num_gpus=pool.gpus,
    )


def require_room(pool: Pool, machine: Capacity) -> None:
    """Check that a machine has room for a single process.

    Raises:
        UserError: The machine has no room, and Ray would wait for ever.
    """
    if pool.cpus > machine.cpus or pool.gpus > machine.gpus:
        raise UserError(
            f"workers: {pool} asked for, this machine has {machine.cpus:g} CPUs and {machine.gpus:g} GPUs; ask for "
            "less, or give the address of a cluster (RAY_ADDRESS)"
        )


def rows_or_failure(rows: Dataset, *pools: Pool) -> Iterator[dict[str, Any]]:
    """The rows as they are finished, until one carries a failure that ends the job.

    Args:
        rows: The rows.
        pools: The processes that compute; if they find no room on the cluster, it is said.

    Raises:
        UserError: A row's `user_error`.
        RunFailed: A row's `run_failed`.
    """
    with told_if_nothing_fits(", ".join(map(str, pools))) as watch:
        for row in rows.iter_rows():
            # All pools have processes now, so the watch ends: that pools cannot grow further is not worth a message.
            watch.set()
            require_no_failure(row)
            yield row


def require_no_failure(row: Mapping[str, Any]) -> None:
    """Refuse a row that carries a failure which ends the job.

    Raises:
        UserError: The row's `user_error`.
        RunFailed: The row's `run_failed`.
    """
    if row.get("user_error"):
        raise UserError(row["user_error"])
    if row.get("run_failed"):
        raise RunFailed(row["run_failed"])
