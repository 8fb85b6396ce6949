"""Runs a training's workers with Ray Train: reserves their resources, receives their messages, reports failures."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray._private.worker import get_dashboard_url
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal import constants
from ray.train.v2.api.exceptions import TrainingFailedError

from pipelines.io import storage
from pipelines.ray_cluster import session
from pipelines.ray_cluster.waiting import told_if_nothing_fits
from pipelines.training.channel import Channel
from pipelines.training.checkpoints import CHECKPOINTS, Best
from pipelines.training.events import Control, Outcome, listening
from pipelines.training.fitting import in_words
from pipelines.training.link import RayTrainLink
from pipelines.training.listener import TrainingListener
from pipelines.training.room import cpus_of_worker_here
from schemas.configs.resources import ResourcesConfig
from schemas.errors import RunFailed

# The interval of health checks, s. Ray's default is two seconds, and the report of an epoch waits for such a check.
HEALTH_CHECK_INTERVAL_S = "0.2"
# Ray's processes find the dashboard by this environment variable.
ADDRESS = "RAY_API_SERVER_ADDRESS"


def fit(
    worker: Callable[[dict[str, Any]], None],
    settings: Mapping[str, Any],
    output: str,
    resources: ResourcesConfig,
    best: Best,
    listener: TrainingListener,
    *,
    start: str | None = None,
    control: Control | None = None,
) -> Outcome:
    """Run a training's workers to the end, from the output's last checkpoint if there is one.

    Args:
        worker: The function that each worker runs; it calls `run_worker` with its settings.
        settings: Settings of this kind of training; workers also get `threads`, `link`, `output`, `best`,
            `start`, `deterministic`.
        output: Folder of the training.
        resources: The workers and what each of them gets.
        best: How checkpoints are ranked; the best and the last one are kept.
        listener: Follows the progress.
        start: The training state of another training (URI) to continue from if there is no checkpoint.
        control: May end the training early.

    Raises:
        RunFailed: A worker gave up, which is not tried again, or workers died too often.
        UserError: Workers found a mistake that only they can see, or the cluster lacks resources.
        KeyboardInterrupt: The user pressed Ctrl-C.
    """
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", HEALTH_CHECK_INTERVAL_S)
    session.connect()
    scaling, threads = scale(resources)
    control = control or Control()
    channel = Channel.options(scheduling_strategy=session.here()).remote(control.instructions, resources.stall_s / 2)
    shared = {
        "threads": threads,
        "link": RayTrainLink(channel, resources.stall_s),
        "output": storage.absolute(output),
        "best": best,
        "start": start,
        "deterministic": resources.deterministic,
    }
    trainer = TorchTrainer(
        worker,
        train_loop_config={**settings, **shared},
        torch_config=TorchConfig(timeout_s=int(resources.stall_s)),
        scaling_config=scaling,
        run_config=_run_config(output, resources),
    )
    lost = None
    with listening(channel, listener, control) as outcome:
        try:
            with _interruptible(), _dashboard_named(), told_if_nothing_fits(in_words(resources, threads)):
                trainer.fit()
        except TrainingFailedError as error:
            lost = error
    if outcome.failure is not None:
        raise outcome.failure
    if lost is not None:
        raise RunFailed(
            f"training: the workers failed {resources.max_restarts + 1} times, at last: "
            f"{_last_line(lost)}; run the same command to go on from the last checkpoint"
        ) from lost
    return outcome


def _run_config(output: str, resources: ResourcesConfig) -> RunConfig:
    fs, path = storage.arrow_filesystem(output)
    return RunConfig(
        name=CHECKPOINTS,
        storage_path=path,
        storage_filesystem=fs,
        failure_config=FailureConfig(max_failures=resources.max_restarts),
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt: Ray's own handler ends the process with exit code 0."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _dashboard_named() -> Iterator[None]:
    """Tell Ray Train's controller where the dashboard of its own cluster is, if it has one.

    A process of Ray Train's asks it whether the controller is alive (Ray 2.60). Without this it takes the address of
    any Ray that was started on the machine: where that one is gone, each training waits 12 seconds at its end.
    """
    url = get_dashboard_url()
    if not url or ADDRESS in os.environ:
        yield
        return
    constants.ENV_VARS_TO_PROPAGATE.add(ADDRESS)
    os.environ[ADDRESS] = f"http://{url}"
    try:
        yield
    finally:
        del os.environ[ADDRESS]


def scale(resources: ResourcesConfig) -> tuple[ScalingConfig, int]:
    """The resources that Ray reserves for the workers, and the number of threads of each.

    Raises:
        UserError: The cluster has less than was requested.
        RunFailed: Machines that were waited for have not come.
    """
    cpus = cpus_of_worker_here(resources)
    each = {"CPU": cpus, "GPU": resources.gpus} if resources.use_gpu else {"CPU": cpus}
    scaling = ScalingConfig(num_workers=resources.num_workers, use_gpu=resources.use_gpu, resources_per_worker=each)
    return scaling, max(1, int(cpus))


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
