"""The label pipeline: videos → detections → tracks. The only file of this folder that knows Ray.

Every resource, pool size and batch size stands here, with its reason.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayTaskError

from pipelines import storage
from pipelines.label.decode import DecodeClips
from pipelines.label.detect import DetectPeople
from pipelines.label.ledger import Ledger, VideoState
from pipelines.label.link import Bucket, link_bucket
from pipelines.label.plan import PlanClips
from pipelines.label.write import WriteDetections
from schemas.errors import RunFailed, UserError
from schemas.label import LabelConfig, WorkersConfig
from schemas.link import LinkConfig
from schemas.videos import VideoSource

# A planning or writing process mostly waits for storage.
WAITING_CPUS = 0.1
# CPUs that a detector on CPUs leaves to the other stages: decoding a frame costs a quarter of detecting in it.
DETECTOR_LEAVES_CPUS = 0.4
DECODER_CPUS = 0.2
CPUS_PER_DECODER = 4
# Consecutive clips that one decoder reads on without seeking; more of them would hold others up.
CLIPS_PER_DECODE = 8
# Smaller than any row: each clip is a block of its own, planned, decoded and detected, and leaves memory on its own.
BLOCK_BYTES = 1
# One clip in work, one waiting: what more would wait in memory only.
CLIPS_IN_FLIGHT = 2


@dataclass(frozen=True)
class Pool:
    """How many processes a stage has and what Ray reserves for each."""

    size: int
    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Pools:
    """The pools of the stages that hold processes."""

    detectors: Pool
    decoders: Pool


def size_pools(config: WorkersConfig, cpus: float, gpus: float) -> Pools:
    """Pools that fill a machine or cluster: on CPUs detectors take nearly all, on GPUs decoders take the CPUs."""
    if config.gpus_per_detector > 0:
        detectors = config.detectors or max(1, int(gpus / config.gpus_per_detector))
        free = cpus - detectors * config.cpus_per_detector - 2 * WAITING_CPUS
        return Pools(
            Pool(detectors, config.cpus_per_detector, config.gpus_per_detector),
            Pool(config.decoders or max(1, int(free)), 1.0),
        )
    detectors = config.detectors or max(1, int(cpus / config.cpus_per_detector))
    decoders = config.decoders or math.ceil(cpus / CPUS_PER_DECODER)
    return Pools(Pool(detectors, config.cpus_per_detector - DETECTOR_LEAVES_CPUS), Pool(decoders, DECODER_CPUS))


def run_detection(
    config: LabelConfig,
    todo: Sequence[VideoSource],
    ledger: Ledger,
    settings: dict[str, Any],
    reader: str,
) -> Iterator[dict[str, Any]]:
    """Plan, decode, detect and write the clips that are missing; yields a row for each clip once it is on disk.

    Args:
        config: The job.
        todo: The videos that are not finished.
        ledger: What the output holds of them.
        settings: Go into the files' metadata.
        reader: "module:Class" of the video reader.

    Raises:
        UserError: The detector cannot be built.
        RunFailed: The output cannot be written.
    """
    resources = ray.cluster_resources()
    pools = size_pools(config.workers, resources.get("CPU", 1), resources.get("GPU", 0))
    DataContext.get_current().target_max_block_size = BLOCK_BYTES
    folder = storage.join(config.output, "detections")
    device = "cuda" if pools.detectors.gpus else "cpu"
    threads = config.workers.cpus_per_detector
    items = [_item(source, ledger.videos.get(source.uri)) for source in todo]

    clips = (
        ray.data.from_items(items, override_num_blocks=min(len(items), 1000))
        # 1:N  a row a clip; waits for storage, and its child process reads the index of the file
        .map_batches(
            PlanClips,
            fn_constructor_args=(config.decode, reader),
            batch_size=1,
            batch_format="pyarrow",
            compute=_actors(1 + pools.decoders.size // 4),
            num_cpus=WAITING_CPUS,
        )
        # 1:1  frames appear; runs of consecutive clips, so that a long video spreads over decoders without much seeking
        .map_batches(
            DecodeClips,
            fn_constructor_args=(config.decode, reader),
            batch_size=CLIPS_PER_DECODE,
            batch_format="pyarrow",
            compute=_actors(pools.decoders.size),
            num_cpus=pools.decoders.cpus,
        )
        # 1:1  frames become people
        .map_batches(
            DetectPeople,
            fn_constructor_args=(config.detector, threads, device, ledger.weights_sha256),
            batch_size=1,
            batch_format="pyarrow",
            compute=_actors(pools.detectors.size),
            num_cpus=pools.detectors.cpus,
            num_gpus=pools.detectors.gpus,
        )
        # N:1  a file for every `clips_per_file` clips
        .map_batches(
            WriteDetections(folder, settings),
            batch_size=config.workers.clips_per_file,
            batch_format="pyarrow",
            num_cpus=WAITING_CPUS,
        )
    )
    for row in clips.iter_rows():
        if row["user_error"]:
            raise UserError(row["user_error"])
        if row["run_failed"]:
            raise RunFailed(row["run_failed"])
        yield row


def run_linking(buckets: Sequence[Bucket], config: LinkConfig, assumed_fov_deg: float | None) -> Iterator[int]:
    """Link buckets of videos; yields the number of tracks of each once its file is on disk.

    Raises:
        RunFailed: The output cannot be written.
    """
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


def _actors(size: int) -> ActorPoolStrategy:
    return ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=CLIPS_IN_FLIGHT)


def _item(source: VideoSource, state: VideoState | None) -> dict[str, str]:
    done = sorted(state.clips) if state else []
    return {"source": source.model_dump_json(), "done": json.dumps(done)}
