"""The evaluation pipeline: images → predictions. The only file of this folder that knows Ray.

It sets every resource, pool size and batch size, with its reason.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import ray
from ray.data import DataContext

from pipelines.annotations.mpii import MpiiPeople
from pipelines.evaluate_detector.estimate import EstimateKeypoints
from pipelines.evaluate_detector.ledger import Ledger
from pipelines.evaluate_detector.plan import TASKS, Plan
from pipelines.evaluate_detector.write import WritePredictions
from pipelines.ray_cluster import session
from pipelines.ray_cluster.pools import WAITING_CPUS, Capacity, Pool, fill_cluster, map_stage, rows_or_failure
from schemas.configs.evaluate_detector import EvaluateDetectorWorkersConfig

# The detector's rows are passed on in groups of this many bytes: a row has one to ten kilobytes, and Ray has costs for
# each block.
BLOCK_BYTES = 2**16
# One batch waits beside the detector while it works on another, so that it never idles.
BATCHES_IN_FLIGHT = 2
# One writer is fast enough for all detectors.
WRITER = Pool(1, WAITING_CPUS)


def size_pool(config: EvaluateDetectorWorkersConfig, capacity: Capacity, images: int) -> Pool:
    """The detectors that fill a cluster beside the writer, not more than there are images."""
    return fill_cluster(
        capacity,
        config.detectors,
        config.cpus_per_detector,
        config.gpus_per_detector,
        work=images,
        reserved_cpus=WAITING_CPUS,
    )


def run_estimation(
    plan: Plan, tasks: Sequence[dict[str, Any]], ledger: Ledger, folder: str, workers: EvaluateDetectorWorkersConfig
) -> Iterator[dict[str, Any]]:
    """Find keypoints in images; yields a row for each image once it is on disk.

    Args:
        plan: The evaluation.
        tasks: Its tasks that are not done.
        ledger: What the output holds.
        folder: Folder of the predictions.
        workers: How many processes work.

    Raises:
        UserError: The detector cannot be built or finds other joints than are annotated.
        RunFailed: The output cannot be written.
    """
    session.connect()
    pool = size_pool(workers, Capacity.of_cluster(), len(tasks))
    # With few images, batches are small, so that all processes have work.
    batch = min(workers.images_per_batch, -(-len(tasks) // pool.size))
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    tables = [pa.Table.from_pylist(list(tasks[i : i + batch]), schema=TASKS) for i in range(0, len(tasks), batch)]
    device = "cuda" if pool.gpus else "cpu"
    # A detector may lack MPII's pelvis or head top; the other joints are still scored.
    partial = isinstance(plan.truth, MpiiPeople)
    estimate = (plan.detector, workers.cpus_per_detector, device, plan.joints, partial, ledger.weights_sha256)

    # 1:1  The names of images become the people in them; the pixels stay in the process.
    rows = map_stage(
        ray.data.from_arrow(tables), EstimateKeypoints, estimate, pool, batch_rows=None, in_flight=BATCHES_IN_FLIGHT
    )
    # N:1  Every `images_per_file` images become a file.
    rows = map_stage(
        rows,
        WritePredictions,
        (folder, plan.settings),
        WRITER,
        batch_rows=workers.images_per_file,
        in_flight=BATCHES_IN_FLIGHT,
    )
    # This name is shown in the Ray dashboard.
    rows.set_name("evaluate_detector")
    yield from rows_or_failure(rows, pool)
