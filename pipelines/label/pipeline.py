"""The label pipeline: videos → detections → tracks. The only file of this folder that knows Ray.

It sets every resource, pool size and batch size, with its reason.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import ray
from ray.data import DataContext
from ray.exceptions import RayTaskError

from pipelines.label.decode import DecodeClips
from pipelines.label.decode_and_detect import DecodeAndDetect
from pipelines.label.detect import DetectPeople
from pipelines.label.job import Job
from pipelines.label.ledger import Ledger
from pipelines.label.link import link_videos
from pipelines.label.link_shards import LinkShard
from pipelines.label.plan import PlanClips
from pipelines.label.write import WriteDetections
from pipelines.ray_cluster import prometheus
from pipelines.ray_cluster.pools import LEAST_CPUS, WAITING_CPUS, Capacity, Pool, map_stage, rows_or_failure
from schemas.configs.label import WorkersConfig
from schemas.errors import RunFailed, UserError
from schemas.formats.videos import VideoSource

# A process takes this many consecutive clips at a time, because it continues to decode where it stopped, and seeking
# costs half as much as decoding. At the end of a corpus all processes wait for the last run, so runs are short if there
# are few videos.
MIN_CLIPS_PER_RUN, MAX_CLIPS_PER_RUN = 2, 8
# A run has one more clip for each group of this many videos per process.
VIDEOS_PER_CLIP_OF_RUN = 4
# Videos are split into at most this many blocks, because each is an object in Ray, which handles thousands with ease.
MAX_BLOCKS = 1000
# This size is below that of any row, so that each clip is a block of its own, which moves on and leaves memory alone.
BLOCK_BYTES = 1
# A single clip is done soon, so the next one may wait beside it. A run of clips takes longer: at the end of a corpus it
# would wait beside a busy process while others are idle.
SINGLE_CLIPS_IN_FLIGHT = 2
# One planner keeps ahead of hundreds of decoders, since it reads no frames. One writer follows 17,000 frames/s.
PLANNER = WRITER = Pool(1, WAITING_CPUS)


def size_pools(config: WorkersConfig, capacity: Capacity) -> tuple[Pool, Pool | None]:
    """The detectors and the decoders that fill a cluster; no decoders where detectors decode themselves.

    On CPUs a detector decodes its own clips, so that frames stay in its process. On GPUs decoding takes all CPUs that
    detectors leave. Each process leaves room for planner and writer, which may be placed beside it. Where more
    processes are asked for than there are CPUs, they share.
    """
    planner_and_writer = 2 * WAITING_CPUS
    if config.gpus_per_detector > 0:
        detectors = config.detectors or max(1, capacity.share_gpus(config.gpus_per_detector))
        decoders = config.decoders or max(1, int(capacity.cpus - detectors * config.cpus_per_detector))
        # A detector is placed by its GPU. It reserves next to no CPU, so that decoders that were placed on a GPU
        # machine first cannot keep it out.
        cpus_per_detector = WAITING_CPUS
    else:
        detectors = config.detectors or capacity.processes(config.cpus_per_detector)
        decoders = 0
        cpus_per_detector = config.cpus_per_detector - planner_and_writer
    cpus_per_decoder = 1 - planner_and_writer
    requested = detectors * cpus_per_detector + decoders * cpus_per_decoder
    fraction = Capacity(capacity.cpus - planner_and_writer).fraction(requested)
    return (
        Pool(
            detectors,
            max(fraction * cpus_per_detector, LEAST_CPUS),
            config.gpus_per_detector,
            max_size=config.detectors,
        ),
        Pool(decoders, fraction * cpus_per_decoder, max_size=config.decoders) if decoders else None,
    )


def clips_per_run(videos: int, decoders: Pool) -> int:
    """Number of consecutive clips that each decoding process takes at a time.

    With fewer videos than processes, several of these work on one video, and each has its own decoder.
    """
    if videos < decoders.size:
        return 1
    return min(MAX_CLIPS_PER_RUN, max(MIN_CLIPS_PER_RUN, videos // (VIDEOS_PER_CLIP_OF_RUN * decoders.size)))


def run_detection(job: Job, videos: Sequence[VideoSource], ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Plan, decode, detect and write the clips that are missing; yields a row for each clip once it is on disk.

    Args:
        job: The job.
        videos: The videos that are not finished.
        ledger: What the output holds of them.

    Raises:
        UserError: The detector cannot be built.
        RunFailed: The output cannot be written.
    """
    config = job.config
    detectors, decoders = size_pools(config.workers, Capacity.of_cluster())
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    decode = (config.decode, job.reader, job.hosts)
    threads, device = config.workers.cpus_per_detector, "cuda" if detectors.gpus else "cpu"
    detect = (config.detector, threads, device, ledger.weights_sha256)
    run = clips_per_run(len(videos), decoders or detectors)
    rows = ray.data.from_arrow(list(to_blocks(videos, ledger)))

    # 1:N  Each clip becomes a row. The planner waits for storage, and its child process reads the index of the file.
    clips = _stage(rows, PlanClips, decode, PLANNER, 1)
    if decoders is None:
        # 1:1  One process decodes the frames and finds the people in them.
        clips = _stage(clips, DecodeAndDetect, (decode, detect), detectors, run)
    else:
        # 1:1  Frames are decoded, at most one clip of them per decoder at a time.
        clips = _stage(clips, DecodeClips, decode, decoders, run)
        # 1:1  Frames become people.
        clips = _stage(clips, DetectPeople, detect, detectors, 1)
    # N:1  Every `clips_per_file` clips become a file.
    clips = _stage(clips, WriteDetections, (job.detections, job.settings), WRITER, config.workers.clips_per_file)
    # This name is shown in the Ray dashboard.
    clips.set_name("label")
    for row in rows_or_failure(clips, detectors, *filter(None, [decoders])):
        prometheus.count_clip(row)
        yield row


def to_blocks(videos: Sequence[VideoSource], ledger: Ledger) -> Iterator[pa.Table]:
    """The rows that `PlanClips` takes: one video per block, or more where Ray would have too many blocks."""
    sources = pa.array([source.model_dump_json() for source in videos], pa.string())
    table = pa.table({"source": sources, "done": ledger.done([source.uri for source in videos])})
    rows = max(1, -(-len(table) // MAX_BLOCKS))
    for start in range(0, len(table), rows):
        yield table.slice(start, rows)


def run_linking(job: Job, shards: Sequence[LinkShard]) -> Iterator[int]:
    """Link the videos of some shards; yields the number of tracks of each shard once its file is on disk.

    Raises:
        RunFailed: The output cannot be written.
        UserError: The calibration of a camera cannot be that of its video.
    """
    options = job.config.link, job.config.assumed_fov_deg
    if len(shards) == 1:  # it is done sooner than a worker process starts
        yield link_videos(shards[0], *options)
        return
    link = ray.remote(num_cpus=1)(link_videos)
    # The limit is twice the CPUs, so that no CPU waits for the driver, while the number of running tasks stays bounded.
    limit = 2 * int(Capacity.of_cluster().cpus)
    waiting = list(reversed(shards))
    running: list[Any] = []
    while waiting or running:
        while waiting and len(running) < limit:
            running.append(link.remote(waiting.pop(), *options))
        done, running = ray.wait(running)
        try:
            yield from ray.get(done)
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, RunFailed | UserError) else error) from None


def _stage(rows: Any, stage: type, arguments: tuple[Any, ...], pool: Pool, batch_rows: int) -> Any:
    in_flight = 1 if batch_rows > 1 else SINGLE_CLIPS_IN_FLIGHT
    return map_stage(rows, stage, arguments, pool, batch_rows=batch_rows, in_flight=in_flight)
