"""The lift pipeline: tracks → poses. The only file of this folder that knows Ray.

Only names of files and numbers of rows travel; processes read their tracks and write their poses themselves.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from pipelines.lift.lifting import Lifter
from pipelines.lift.plan import Unit
from pipelines.lift.work import LiftUnits, export_rows
from pipelines.ray_cluster import prometheus, session
from schemas.configs.lift import ExportFormat, LiftWorkersConfig
from schemas.errors import RunFailed

# What the driver hears of a unit is smaller.
BLOCK_BYTES = 1_000_000
# A unit takes a CPU seconds: at the end of a corpus the next one would wait beside a busy process while others are
# idle. It takes a GPU less than the way to the driver and back: there the next one waits.
UNITS_IN_FLIGHT_CPU, UNITS_IN_FLIGHT_GPU = 1, 2
# Blocks that items are dealt into at most: Ray keeps books on each.
MOST_BLOCKS = 10_000

_EXPORTED = pa.schema([("frames", pa.int64()), ("run_failed", pa.string())])


@dataclass(frozen=True)
class Pool:
    """How many lifting processes there are and what Ray reserves for each.

    Attributes:
        size: At the start.
        cpus: For each.
        gpus: For each.
        most: So many there may be, as machines join.
    """

    size: int
    cpus: float
    gpus: float
    most: int


def size_pool(config: LiftWorkersConfig, cpus: float, gpus: float, units: int) -> Pool:
    """The processes that fill a machine or cluster, not more than there are units; if told more, they share CPUs."""
    if config.gpus_per_lifter > 0:
        fit = min(gpus / config.gpus_per_lifter, cpus / config.cpus_per_lifter)
    else:
        fit = cpus / config.cpus_per_lifter
    size = max(1, min(config.lifters or int(fit), units))
    # Of all that is wanted, so much there is; Ray counts in ten-thousandths.
    share = min(1.0, int(1000 * cpus / (size * config.cpus_per_lifter)) / 1000)
    return Pool(size, share * config.cpus_per_lifter, config.gpus_per_lifter, min(config.lifters or units, units))


def run_lifting(
    units: Sequence[Unit],
    lifter: Lifter,
    folder: str,
    settings: Mapping[str, Any],
    exports: Sequence[ExportFormat],
    workers: LiftWorkersConfig,
) -> Iterator[dict[str, Any]]:
    """Lift units; yields a row for each track once it is on disk.

    Raises:
        RunFailed: The output cannot be written.
    """
    session.connect()
    resources = ray.cluster_resources()
    pool = size_pool(workers, resources.get("CPU", 1), resources.get("GPU", 0), len(units))
    # Sent once to each machine: the others may not see this one's files.
    load = _loader(lifter)
    device = "cuda" if pool.gpus else "cpu"
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    items = ray.data.from_items(
        [{"unit": unit.to_json()} for unit in units], override_num_blocks=min(len(units), MOST_BLOCKS)
    )
    # 1:N  a row a track; the frames stay in the process
    heard = items.map_batches(
        LiftUnits,
        fn_constructor_args=(load, folder, settings, tuple(exports), workers.cpus_per_lifter, device),
        batch_size=1,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            min_size=pool.size,
            max_size=pool.most,
            max_tasks_in_flight_per_actor=UNITS_IN_FLIGHT_GPU if pool.gpus else UNITS_IN_FLIGHT_CPU,
        ),
        num_cpus=pool.cpus,
        num_gpus=pool.gpus,
    )
    # As the dashboard calls it.
    heard.set_name("lift")
    for row in _unless_failed(heard.iter_rows()):
        prometheus.count_track(row)
        yield row


def run_exports(
    rows: Mapping[str, Sequence[int]], output: str, forms: Sequence[ExportFormat]
) -> Iterator[dict[str, Any]]:
    """Export tracks that are lifted already; yields a row for each.

    Args:
        rows: Of poses files.
        output: Holds the formats' folders.
        forms: The formats.

    Raises:
        RunFailed: The output cannot be written.
    """
    session.connect()
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    listed = [{"file": file, "rows": list(numbers)} for file, numbers in rows.items()]
    items = ray.data.from_items(listed, override_num_blocks=min(len(listed), MOST_BLOCKS))

    def write_exports(batch: pa.Table) -> Iterator[pa.Table]:
        for row in export_rows(batch.to_pylist(), output, forms):
            yield pa.Table.from_pylist([row], schema=_EXPORTED)

    # 1:N  a row a track
    exported = items.map_batches(write_exports, batch_size=1, batch_format="pyarrow")
    yield from _unless_failed(exported.iter_rows())


def _loader(lifter: Lifter) -> Callable[[], Lifter]:
    return partial(ray.get, ray.put(lifter))


def _unless_failed(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if row["run_failed"]:
            raise RunFailed(row["run_failed"])
        yield row
