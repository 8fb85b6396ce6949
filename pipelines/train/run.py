"""Training from start to end: what was begun is continued, what is done stays; Ray Train runs the workers."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty as QueueEmpty
from typing import Any, Protocol

import ray
from ray.train import CheckpointConfig, FailureConfig, Result, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2.api.exceptions import TrainingFailedError
from ray.util.queue import Empty, Queue

from pipelines import session, storage
from pipelines.lifters.checkpoint import LifterCard
from pipelines.train.data import DataPlan
from pipelines.train.loop import EpochReport, has_trajectory
from pipelines.train.worker import LIFTER_FILE, SELECTION, Started, StepReport, train_worker
from schemas import __version__
from schemas.config import flatten
from schemas.errors import RunFailed, UserError
from schemas.train import TrainConfig

FORMAT = "raylift.training/1"
# Ray Train's folder within the output.
CHECKPOINTS = "checkpoints"
# Kept: the best one and the last one.
CHECKPOINTS_KEPT = 2
# Ray looks after its workers every two seconds by default, and an epoch's report waits for that look.
HEALTH_CHECK_INTERVAL_S = "0.2"


class Listener(Protocol):
    """Who hears of a training's progress, in a thread of its own."""

    def started(self, epochs_done: int) -> None:
        """Workers begin, or replace others, after so many epochs."""
        ...

    def step(self, at: StepReport) -> None:
        """Heard now and then within an epoch."""
        ...

    def epoch(self, report: EpochReport) -> None:
        """Heard once for each epoch, those of earlier runs of the same training included."""
        ...


@dataclass(frozen=True)
class Begun:
    """A training that an output holds.

    Attributes:
        run_id: Its MLflow run.
        report: Of the finished training; None while it is not.
    """

    run_id: str
    report: dict[str, Any] | None


def look_up(config: TrainConfig, plan: DataPlan) -> Begun | None:
    """What the output holds; None if it is new.

    Raises:
        UserError: It holds a training with other settings, or of other data.
    """
    uri = storage.join(config.output, "run.json")
    if not storage.exists(uri):
        return None
    begun = json.loads(storage.read_bytes(uri))
    now = _settings(config)
    for name in sorted(begun["settings"].keys() | now.keys()):
        before, given = begun["settings"].get(name), now.get(name)
        if before != given:
            raise UserError(
                f"output={config.output}: was begun with {name}={before}, now {name}={given}; "
                "give the same settings to continue, or another output"
            )
    if begun["data"] != plan.digest:
        raise UserError(
            f"output={config.output}: the tracks have changed since this training was begun; "
            "give the same tracks to continue, or another output"
        )
    report = storage.join(config.output, "report.json")
    return Begun(begun["run_id"], json.loads(storage.read_bytes(report)) if storage.exists(report) else None)


def begin(config: TrainConfig, plan: DataPlan, run_id: str) -> None:
    """Note in the output which training it holds."""
    note = {"format": FORMAT, "run_id": run_id, "data": plan.digest, "settings": _settings(config)}
    storage.write_bytes(storage.join(config.output, "run.json"), json.dumps(note, indent=2).encode())


def execute(config: TrainConfig, plan: DataPlan, run_id: str, listener: Listener) -> dict[str, Any]:
    """Train, from the last checkpoint on if there is one; returns the report, also written to `report.json`.

    Args:
        config: The job.
        plan: Its data.
        run_id: Goes into the model's lineage.
        listener: Hears how it goes.

    Raises:
        RunFailed: The training diverged, its workers died too often, or the output cannot be written.
        UserError: A mistake that only reading the data shows, or resources that are not there.
    """
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", HEALTH_CHECK_INTERVAL_S)
    session.connect()
    scaling, threads = _scaling(config)
    card = _card(config, plan, {"run_id": run_id, "data": plan.digest})
    queue = Queue(actor_options={"num_cpus": 0})
    fs, path = storage.arrow_filesystem(config.output)
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={"config": config, "plan": plan, "card": card, "threads": threads, "queue": queue},
        scaling_config=scaling,
        run_config=RunConfig(
            name=CHECKPOINTS,
            storage_path=path,
            storage_filesystem=fs,
            failure_config=FailureConfig(max_failures=config.resources.max_restarts),
            checkpoint_config=CheckpointConfig(CHECKPOINTS_KEPT, SELECTION, "min"),
        ),
    )
    with _listening(queue, listener) as heard:
        try:
            result = trainer.fit()
        except TrainingFailedError as error:
            raise RunFailed(
                f"training: the workers failed {config.resources.max_restarts + 1} times, at last: "
                f"{_last_line(error)}; run the same command to go on from the last checkpoint"
            ) from error
    if heard.failure is not None:
        raise heard.failure
    return _finish(config, plan, result, heard)


def _settings(config: TrainConfig) -> dict[str, Any]:
    # Who computes may change between a training's parts, where it lies may too.
    return flatten(config.model_dump(mode="json", exclude={"output", "resources"}))


def _card(config: TrainConfig, plan: DataPlan, lineage: dict[str, str]) -> LifterCard:
    return LifterCard(
        lifter=config.lifter.name,
        config=config.lifter.options,
        input_layout=plan.input_layout.name,
        output_layout=plan.output_layout.name,
        trajectory=has_trajectory(config, plan),
        fps=plan.fps,
        receptive_field=plan.shape.receptive_field,
        lineage=lineage,
    )


def _scaling(config: TrainConfig) -> tuple[ScalingConfig, int]:
    """What Ray reserves, and the threads of a worker."""
    wanted, cluster = config.resources, ray.cluster_resources()
    if wanted.use_gpu and cluster.get("GPU", 0) < wanted.num_workers:
        raise UserError(
            f"resources.use_gpu=true: {wanted.num_workers} workers need as many GPUs, the cluster has "
            f"{cluster.get('GPU', 0):g}; give fewer workers, or resources.use_gpu=false"
        )
    share = cluster.get("CPU", 1) / wanted.num_workers
    cpus = wanted.cpus_per_worker or (int(share) if share >= 1 else int(share * 100) / 100)
    if cpus * wanted.num_workers > cluster.get("CPU", 1):
        raise UserError(
            f"resources.cpus_per_worker={cpus}: {wanted.num_workers} workers need {cpus * wanted.num_workers} CPUs, "
            f"the cluster has {cluster.get('CPU', 1):g}; give fewer"
        )
    scaling = ScalingConfig(num_workers=wanted.num_workers, use_gpu=wanted.use_gpu, resources_per_worker={"CPU": cpus})
    return scaling, max(1, int(cpus))


class _Heard:
    """What the workers said."""

    def __init__(self) -> None:
        self.epochs: list[EpochReport] = []
        self.failure: UserError | RunFailed | None = None


@contextmanager
def _listening(queue: Queue, listener: Listener) -> Iterator[_Heard]:
    """Hear the workers in a thread, until the block ends and nothing more is said."""
    heard, ended = _Heard(), threading.Event()

    def hear(message: object) -> None:
        if isinstance(message, Started):
            listener.started(len(message.history))
            for report in message.history:
                hear(report)
        elif isinstance(message, StepReport):
            listener.step(message)
        elif isinstance(message, UserError | RunFailed):
            heard.failure = message
        # Workers that replace others repeat, to the bit, what was not yet saved.
        elif isinstance(message, EpochReport) and message.epoch > len(heard.epochs):
            heard.epochs.append(message)
            listener.epoch(message)

    def listen() -> None:
        while True:
            try:
                message = queue.get(timeout=0.2)
            except (Empty, QueueEmpty):
                if ended.is_set():
                    return
            else:
                hear(message)

    thread = threading.Thread(target=listen, name="training-listener")
    thread.start()
    try:
        yield heard
    finally:
        ended.set()
        thread.join()
        queue.shutdown()


def _finish(config: TrainConfig, plan: DataPlan, result: Result, heard: _Heard) -> dict[str, Any]:
    assert result.checkpoint is not None
    best, best_metrics = min(result.best_checkpoints or [], key=lambda pair: pair[1][SELECTION])
    for name, checkpoint in (("last.pt", result.checkpoint), ("best.pt", best)):
        with checkpoint.as_directory() as folder:
            storage.write_bytes(storage.join(config.output, name), storage.read_bytes(f"{folder}/{LIFTER_FILE}"))
    report = {
        "format": FORMAT,
        "version": __version__,
        "output": config.output,
        "epochs": config.optimization.epochs,
        "best_epoch": int(best_metrics["epoch"]),
        "best_validation_mpjpe_mm": best_metrics[SELECTION] if plan.validation else None,
        "last": heard.epochs[-1].metrics(),
        "tracks": {
            "training": len(plan.training),
            "validation": len(plan.validation),
            "unlabeled": len(plan.unlabeled),
            "shorter_than_receptive_field": plan.short_tracks,
        },
        "fps": plan.fps,
        "receptive_field": plan.shape.receptive_field,
        "data": plan.digest,
    }
    storage.write_bytes(storage.join(config.output, "report.json"), json.dumps(report, indent=2).encode())
    return report


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
