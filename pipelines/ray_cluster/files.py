"""Works on many files with Ray, each by itself; a single file is done in this process."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import ray
from ray.data import DataContext

from pipelines.ray_cluster import session
from pipelines.ray_cluster.pools import rows_or_failure
from schemas.errors import RunFailed, UserError

# This size is above that of the rows that a file returns to the driver.
BLOCK_BYTES = 1_000_000
# Items are split into at most this many blocks, because Ray keeps track of each.
MAX_BLOCKS = 10_000
_ROW = pa.schema([("done", pa.int64()), ("user_error", pa.string()), ("run_failed", pa.string())])


def each_file(files: Sequence[str], work: Callable[[str], int]) -> Iterator[int]:
    """Do the same with each of some files; yields what it returns for each, as they are finished.

    Only addresses and numbers travel: the work reads its file and writes its result itself.

    Args:
        files: Their addresses.
        work: Arithmetic in one process, which a CPU is reserved for.

    Raises:
        UserError: The work has raised it.
        RunFailed: The work has raised it.
    """
    if len(files) == 1:  # starting Ray would take longer than the work
        yield work(files[0])
        return
    session.connect()
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    items = ray.data.from_items([{"file": file} for file in files], override_num_blocks=min(len(files), MAX_BLOCKS))

    def do(batch: pa.Table) -> pa.Table:
        rows: list[dict[str, Any]] = []
        for file in batch["file"].to_pylist():
            try:
                rows.append({"done": work(file)})
            except UserError as error:
                rows.append({"done": 0, "user_error": str(error)})
            except RunFailed as error:
                rows.append({"done": 0, "run_failed": str(error)})
        return pa.Table.from_pylist(rows, schema=_ROW)

    for row in rows_or_failure(items.map_batches(do, batch_size=1, batch_format="pyarrow", num_cpus=1)):
        yield row["done"]
