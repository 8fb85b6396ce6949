"""The lift pipeline: tracks → poses. The only file of this folder that knows Ray.

Processes receive only file names and row numbers; they read their tracks and write their poses themselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import ray
from ray.data import DataContext

from pipelines.lift.exports import ExportSettings, VideoTracks
from pipelines.lift.lift_units import LiftUnits, export_videos
from pipelines.lift.lifting import LoadedLifter
from pipelines.lift.plan import Unit
from pipelines.ray_cluster import prometheus, session
from pipelines.ray_cluster.pools import Capacity, Pool, fill_cluster, map_stage, require_no_failure, rows_or_failure
from schemas.configs.lift import LiftWorkersConfig

# This size is above that of the rows that a unit returns to the driver.
BLOCK_BYTES = 1_000_000
# A unit takes a CPU seconds, so at the end of a corpus a second one would wait beside a busy process while others are
# idle. A GPU needs less time for it than the way to the driver and back takes, so there a second one waits.
UNITS_IN_FLIGHT_CPU, UNITS_IN_FLIGHT_GPU = 1, 2
# Items are split into at most this many blocks, because Ray keeps track of each.
MAX_BLOCKS = 10_000

_EXPORTED = pa.schema([("frames", pa.int64()), ("run_failed", pa.string())])


def size_pool(config: LiftWorkersConfig, capacity: Capacity, units: int) -> Pool:
    """The lifting processes that fill a cluster, not more than there are units."""
    return fill_cluster(capacity, config.lifters, config.cpus_per_lifter, config.gpus_per_lifter, work=units)


def run_lifting(
    units: Sequence[Unit],
    lifter: LoadedLifter,
    folder: str,
    settings: Mapping[str, Any],
    workers: LiftWorkersConfig,
) -> Iterator[dict[str, Any]]:
    """Lift units; yields a row for each track once it is on disk.

    Raises:
        RunFailed: The output cannot be written.
    """
    if len(units) == 1 and not workers.gpus_per_lifter:
        # Starting a process would take longer than lifting a unit in this one.
        yield from _lift_here(units[0], lifter, folder, settings, workers)
        return
    session.connect()
    pool = size_pool(workers, Capacity.of_cluster(), len(units))
    # The lifter is sent to each machine once, because the others may not see this machine's files.
    load = _loader(lifter)
    device = "cuda" if pool.gpus else "cpu"
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    items = ray.data.from_items(
        [{"unit": unit.to_json()} for unit in units], override_num_blocks=min(len(units), MAX_BLOCKS)
    )
    # 1:N  Each track becomes a row; the frames stay in the process.
    lifted = map_stage(
        items,
        LiftUnits,
        (load, folder, settings, workers.cpus_per_lifter, device),
        pool,
        batch_rows=1,
        in_flight=UNITS_IN_FLIGHT_GPU if pool.gpus else UNITS_IN_FLIGHT_CPU,
    )
    # This name is shown in the Ray dashboard.
    lifted.set_name("lift")
    for row in rows_or_failure(lifted, pool):
        prometheus.count_track(row)
        yield row


def _lift_here(
    unit: Unit, lifter: LoadedLifter, folder: str, settings: Mapping[str, Any], workers: LiftWorkersConfig
) -> Iterator[dict[str, Any]]:
    lift = LiftUnits(lambda: lifter, folder, settings, workers.cpus_per_lifter, "cpu")
    for table in lift(pa.table({"unit": [unit.to_json()]})):
        for row in table.to_pylist():
            require_no_failure(row)
            prometheus.count_track(row)
            yield row


def run_exports(videos: Sequence[VideoTracks], output: str, settings: ExportSettings) -> Iterator[dict[str, Any]]:
    """Export the lifted tracks of videos; yields a row for each track.

    Args:
        videos: The videos.
        output: Holds the formats' folders.
        settings: What the files are like.

    Raises:
        RunFailed: The output cannot be written.
    """
    session.connect()
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    rows = [{"files": list(tracks), "rows": list(map(list, tracks.values()))} for tracks in videos]
    items = ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))

    def write_exports(batch: pa.Table) -> Iterator[pa.Table]:
        for row in export_videos(batch.to_pylist(), output, settings):
            yield pa.Table.from_pylist([row], schema=_EXPORTED)

    # 1:N  Each track becomes a row.
    yield from rows_or_failure(items.map_batches(write_exports, batch_size=1, batch_format="pyarrow"))


def _loader(lifter: LoadedLifter) -> Callable[[], LoadedLifter]:
    return partial(ray.get, ray.put(lifter))
