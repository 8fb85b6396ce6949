"""The label pipeline: videos → detections → tracks. The only file of this folder that knows Ray.

Every resource, pool size and batch size stands here, with its reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.exceptions import RayTaskError

from pipelines.label.decode import DecodeClips
from pipelines.label.detect import DetectPeople
from pipelines.label.fused import DecodeAndDetect
from pipelines.label.ledger import Ledger
from pipelines.label.link import link_bucket
from pipelines.label.link_shards import Bucket
from pipelines.label.plan import PlanClips
from pipelines.label.write import WriteDetections
from pipelines.ray_cluster import prometheus
from schemas.configs.label import LabelConfig, WorkersConfig
from schemas.configs.link import LinkConfig
from schemas.errors import RunFailed, UserError
from schemas.formats.videos import VideoSource

# A planning or writing process mostly waits for storage: next to nothing, but not on a head that is to do no work.
WAITING_CPUS = 0.001
# The least that Ray counts.
LEAST_CPUS = 0.0001
# Consecutive clips that one process takes at a time: it decodes on from where it was, and what it skips on the way
# costs half of what it reads. With few videos short runs, so that all processes have work until the end.
CLIPS_PER_RUN = 8
CLIPS_PER_RUN_OF_FEW_VIDEOS = 2
# From so many videos for each process on, they are many.
MANY_VIDEOS = 4
# Blocks that videos are handed out in: each is an object of Ray's, which knows thousands with ease.
MOST_BLOCKS = 1000
# Smaller than any row: each clip is a block of its own, planned, decoded and detected, and leaves memory on its own.
BLOCK_BYTES = 1
# A single clip is soon done: the next one waits beside it. A run is not: at the end of a corpus it would wait beside
# a busy process while others are idle.
SINGLES_IN_FLIGHT = 2


@dataclass(frozen=True)
class Pool:
    """How many processes a stage has and what Ray reserves for each.

    Attributes:
        size: At the start.
        cpus: For each.
        gpus: For each.
        grows: Whether there may be more, as machines join.
    """

    size: int
    cpus: float
    gpus: float = 0.0
    grows: bool = False


# One planner keeps ahead of hundreds of decoders: it reads no frames. One writer follows 17,000 frames/s.
PLANNER = WRITER = Pool(1, WAITING_CPUS)


def size_pools(config: WorkersConfig, cpus: float, gpus: float) -> tuple[Pool, Pool | None]:
    """The detectors and the decoders that fill a machine or cluster; no decoders where detectors decode themselves.

    On CPUs a detector decodes its own clips: the frames stay in its process. On GPUs decoding takes all the CPUs
    that detectors leave. Each process leaves room for planner and writer, which may have to stand beside it; where
    there are more processes than CPUs, they share.
    """
    room = 2 * WAITING_CPUS
    if config.gpus_per_detector > 0:
        detectors = config.detectors or max(1, int(gpus / config.gpus_per_detector))
        decoders = config.decoders or max(1, int(cpus - detectors * config.cpus_per_detector))
        # Their GPUs say where they go: decoders that came first to these machines must not keep them out.
        cpus_per_detector = WAITING_CPUS
    else:
        detectors = config.detectors or max(1, int(cpus / config.cpus_per_detector))
        decoders = 0
        cpus_per_detector = config.cpus_per_detector - room
    wanted = detectors * cpus_per_detector + decoders * (1 - room)
    # Of all that is wanted, so much there is.
    share = min(1.0, int(1000 * (cpus - room) / wanted) / 1000)
    return (
        Pool(detectors, max(share * cpus_per_detector, LEAST_CPUS), config.gpus_per_detector, config.detectors is None),
        Pool(decoders, share * (1 - room), grows=config.decoders is None) if decoders else None,
    )


def run_detection(
    config: LabelConfig,
    folder: str,
    todo: Sequence[VideoSource],
    ledger: Ledger,
    settings: dict[str, Any],
    reader: str,
) -> Iterator[dict[str, Any]]:
    """Plan, decode, detect and write the clips that are missing; yields a row for each clip once it is on disk.

    Args:
        config: The job.
        folder: Where detections go, absolute.
        todo: The videos that are not finished.
        ledger: What the output holds of them.
        settings: Go into the files' metadata.
        reader: "module:Class" of the video reader.

    Raises:
        UserError: The detector cannot be built.
        RunFailed: The output cannot be written.
    """
    resources = ray.cluster_resources()
    detectors, decoders = size_pools(config.workers, resources.get("CPU", 1), resources.get("GPU", 0))
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    decode = (config.decode, reader)
    threads, device = config.workers.cpus_per_detector, "cuda" if detectors.gpus else "cpu"
    detect = (config.detector, threads, device, ledger.weights_sha256)
    many = len(todo) >= MANY_VIDEOS * (decoders or detectors).size
    run = CLIPS_PER_RUN if many else CLIPS_PER_RUN_OF_FEW_VIDEOS
    videos = ray.data.from_arrow(list(hand_out(todo, ledger)))

    # 1:N  a row a clip; waits for storage, and its child process reads the index of the file
    clips = _stage(videos, PlanClips, decode, PLANNER, 1)
    if decoders is None:
        # 1:1  frames appear and become people in one process
        clips = _stage(clips, DecodeAndDetect, (decode, detect), detectors, run)
    else:
        # 1:1  frames appear, at most one clip of them per decoder at a time
        clips = _stage(clips, DecodeClips, decode, decoders, run)
        # 1:1  frames become people
        clips = _stage(clips, DetectPeople, detect, detectors, 1)
    # N:1  a file for every `clips_per_file` clips
    clips = _stage(clips, WriteDetections, (folder, settings), WRITER, config.workers.clips_per_file)
    # As the dashboard calls it.
    clips.set_name("label")
    for row in clips.iter_rows():
        if row["user_error"]:
            raise UserError(row["user_error"])
        if row["run_failed"]:
            raise RunFailed(row["run_failed"])
        prometheus.count_clip(row)
        yield row


def hand_out(todo: Sequence[VideoSource], ledger: Ledger) -> Iterator[pa.Table]:
    """Rows of `PlanClips`: a block a video, or as many of a size as Ray handles well."""
    sources = pa.array([source.model_dump_json() for source in todo], pa.string())
    table = pa.table({"source": sources, "done": ledger.done([source.uri for source in todo])})
    rows = max(1, -(-len(table) // MOST_BLOCKS))
    for start in range(0, len(table), rows):
        yield table.slice(start, rows)


def run_linking(buckets: Sequence[Bucket], config: LinkConfig, assumed_fov_deg: float | None) -> Iterator[int]:
    """Link buckets of videos; yields the number of tracks of each once its file is on disk.

    Raises:
        RunFailed: The output cannot be written.
    """
    if len(buckets) == 1:  # sooner done than a worker has started
        yield link_bucket(buckets[0], config, assumed_fov_deg)
        return
    link = ray.remote(num_cpus=1)(link_bucket)
    # Twice the CPUs: none waits for the driver, and a corpus of any size is a bounded number of tasks.
    limit = 2 * int(ray.cluster_resources().get("CPU", 1))
    waiting = list(reversed(buckets))
    running: list[Any] = []
    while waiting or running:
        while waiting and len(running) < limit:
            running.append(link.remote(waiting.pop(), config, assumed_fov_deg))
        done, running = ray.wait(running)
        try:
            yield from ray.get(done)
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, RunFailed) else error) from None


def _stage(clips: Dataset, stage: type, arguments: tuple[Any, ...], pool: Pool, batch_rows: int) -> Dataset:
    return clips.map_batches(
        stage,
        fn_constructor_args=arguments,
        batch_size=batch_rows,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            min_size=pool.size,
            max_size=None if pool.grows else pool.size,
            max_tasks_in_flight_per_actor=1 if batch_rows > 1 else SINGLES_IN_FLIGHT,
        ),
        num_cpus=pool.cpus,
        num_gpus=pool.gpus,
    )
