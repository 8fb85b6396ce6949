"""The evaluation pipeline: images → predictions. The only file of this folder that knows Ray.

Every resource, pool size and batch size stands here, with its reason.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from pipelines.annotations.mpii import MpiiPeople
from pipelines.evaluate_detector.estimate import EstimateKeypoints
from pipelines.evaluate_detector.ledger import Ledger
from pipelines.evaluate_detector.plan import TASKS, Plan
from pipelines.evaluate_detector.write import WritePredictions
from pipelines.label.pipeline import WAITING_CPUS, Pool
from pipelines.ray_cluster import session
from schemas.configs.evaluate_detector import EvaluateDetectorWorkersConfig
from schemas.errors import RunFailed, UserError

# What a detector has seen goes on by the group: a row is a kilobyte or ten, and Ray keeps books on each block.
BLOCK_BYTES = 2**16
# While a detector works on a batch the next one waits beside it.
BATCHES_IN_FLIGHT = 2


def size_pool(config: EvaluateDetectorWorkersConfig, cpus: float, gpus: float, images: int) -> Pool:
    """The detectors that fill a machine or cluster beside the writer, not more than there are images.

    Where more are asked for than there are CPUs, they share.
    """
    if config.gpus_per_detector > 0:
        fit = min(gpus / config.gpus_per_detector, cpus / config.cpus_per_detector)
    else:
        fit = cpus / config.cpus_per_detector
    size = min(config.detectors or max(1, int(fit)), images)
    # Of all that is wanted, so much there is; Ray counts in ten-thousandths.
    share = min(1.0, int(1000 * (cpus - WAITING_CPUS) / (size * config.cpus_per_detector)) / 1000)
    return Pool(size, share * config.cpus_per_detector, config.gpus_per_detector)


def run_estimation(
    plan: Plan,
    todo: list[dict[str, Any]],
    ledger: Ledger,
    folder: str,
    workers: EvaluateDetectorWorkersConfig,
) -> Iterator[dict[str, Any]]:
    """Look at images; yields a row for each once it is on disk.

    Args:
        plan: The evaluation.
        todo: Its tasks that are not done.
        ledger: What the output holds.
        folder: Of the predictions.
        workers: How many processes work.

    Raises:
        UserError: The detector cannot be built or finds other joints than are annotated.
        RunFailed: The output cannot be written.
    """
    session.connect()
    resources = ray.cluster_resources()
    pool = size_pool(workers, resources.get("CPU", 1), resources.get("GPU", 0), len(todo))
    # With few images small batches, so that all processes have work.
    batch = min(workers.images_per_batch, -(-len(todo) // pool.size))
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    tables = [pa.Table.from_pylist(todo[i : i + batch], schema=TASKS) for i in range(0, len(todo), batch)]
    device = "cuda" if pool.gpus else "cpu"
    # MPII's pelvis or head top may be unknown to a detector: the others are still scored.
    partial = isinstance(plan.truth, MpiiPeople)

    # 1:1  names of images become the people in them; the pixels stay in the process
    estimated = ray.data.from_arrow(tables).map_batches(
        EstimateKeypoints,
        fn_constructor_args=(
            *(plan.detector, workers.cpus_per_detector, device),
            *(plan.joints, partial, ledger.weights_sha256),
        ),
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=pool.size, max_tasks_in_flight_per_actor=BATCHES_IN_FLIGHT),
        num_cpus=pool.cpus,
        num_gpus=pool.gpus,
    )
    # N:1  a file for every `images_per_file` images; one writer follows all detectors
    written = estimated.map_batches(
        WritePredictions,
        fn_constructor_args=(folder, plan.settings),
        batch_size=workers.images_per_file,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=1),
        num_cpus=WAITING_CPUS,
    )
    for row in written.iter_rows():
        if row["user_error"]:
            raise UserError(row["user_error"])
        if row["run_failed"]:
            raise RunFailed(row["run_failed"])
        yield row
