"""Ray Train around a training's workers: what is reserved for them, what is kept of them, who hears them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2.api.exceptions import TrainingFailedError

from pipelines.io import storage
from pipelines.ray_cluster import session
from pipelines.training import checkpoints
from pipelines.training.channel import Mailbox
from pipelines.training.checkpoints import CHECKPOINTS, Best
from pipelines.training.events import Control, Heard, Listener, listening
from schemas.configs.train import ResourcesConfig
from schemas.errors import RunFailed, UserError

# Ray looks after its workers every two seconds by default, and an epoch's report waits for that look.
HEALTH_CHECK_INTERVAL_S = "0.2"


def fit(
    worker: Callable[[dict[str, Any]], None],
    settings: Mapping[str, Any],
    output: str,
    resources: ResourcesConfig,
    best: Best,
    listener: Listener,
    control: Control | None = None,
) -> Heard:
    """Run a training's workers to the end, from the output's last checkpoint on if there is one.

    Args:
        worker: What each of them runs.
        settings: What it is told, besides its `threads`, the `mailbox` of the driver, and where its checkpoints go:
            the `output`, and how they are ranked, `best`.
        output: Folder of the training.
        resources: Who computes.
        best: Which checkpoint is kept beside the last one.
        listener: Hears how it goes.
        control: May end the training early.

    Raises:
        RunFailed: What a worker gave up for, or its workers died too often.
        UserError: A mistake that only workers see, or resources that are not there.
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", HEALTH_CHECK_INTERVAL_S)
    session.connect()
    scaling, threads = scale(resources)
    control = control or Control()
    mailbox = Mailbox.options(scheduling_strategy=session.here()).remote(control.orders)
    told = {**settings, "threads": threads, "mailbox": mailbox, "output": storage.absolute(output), "best": best}
    fs, path = storage.arrow_filesystem(output)
    trainer = TorchTrainer(
        worker,
        train_loop_config=told,
        scaling_config=scaling,
        run_config=RunConfig(
            name=CHECKPOINTS,
            storage_path=path,
            storage_filesystem=fs,
            failure_config=FailureConfig(max_failures=resources.max_restarts),
        ),
    )
    with listening(mailbox, listener, control) as heard:
        try:
            with _interruptible():
                trainer.fit()
        except TrainingFailedError as error:
            raise RunFailed(
                f"training: the workers failed {resources.max_restarts + 1} times, at last: "
                f"{_last_line(error)}; run the same command to go on from the last checkpoint"
            ) from error
    if heard.failure is not None:
        raise heard.failure
    return heard


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C be what it is everywhere: Ray's own answer to it ends the process as if all were done."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def best_and_last(output: str, best: Best, file: str) -> tuple[Mapping[str, Any], dict[str, bytes]]:
    """What the best checkpoint was saved with, and `file` of the best and the last one as best.pt and last.pt.

    Raises:
        RunFailed: There is no checkpoint.
    """
    saved = checkpoints.find(output)
    if not saved:
        raise RunFailed("training: was stopped before the end of its first epoch")
    chosen = best.of(saved)
    found = {"last.pt": saved[-1], "best.pt": chosen}
    return chosen.metrics, {name: storage.read_bytes(one.file(file)) for name, one in found.items()}


def scale(wanted: ResourcesConfig) -> tuple[ScalingConfig, int]:
    """What Ray reserves, and the threads of a worker.

    Raises:
        UserError: The cluster has less.
    """
    cluster = ray.cluster_resources()
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


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
