"""Runs a training's workers with Ray Train: reserves their resources, receives their messages, reports failures."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from ray._private.worker import get_dashboard_url
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal import constants
from ray.train.v2.api.exceptions import ControllerError, TrainingFailedError

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

log = logging.getLogger(__name__)
# The interval of health checks, s. Ray's default is two seconds, and the report of an epoch waits for such a check.
HEALTH_CHECK_INTERVAL_S = "0.2"
# Ray's processes find the dashboard by this environment variable.
ADDRESS = "RAY_API_SERVER_ADDRESS"
# Nobody listens at port 0, so that each request to it fails at once.
NO_DASHBOARD = "http://127.0.0.1:0"


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
    trainer = _trainer(worker, {**settings, **shared}, scaling, output, resources)
    with (
        listening(channel, listener, control) as outcome,
        _interruptible(),
        own_dashboard(),
        told_if_nothing_fits(in_words(resources, threads)),
    ):
        lost = train_through_losses(trainer, resources.max_restarts)
    if outcome.failure is not None:
        raise outcome.failure
    if lost is not None:
        raise RunFailed(
            f"training: the workers failed more than resources.max_restarts={resources.max_restarts} times, at last: "
            f"{_last_line(lost)}; run the same command to go on from the last checkpoint"
        ) from lost
    return outcome


def train_through_losses(trainer: Callable[[], TorchTrainer], max_restarts: int) -> TrainingFailedError | None:
    """Run the workers to the end; returns the last failure if they failed too often.

    Ray Train replaces workers that are lost, but gives up if one is lost after all have started and before they
    train (Ray 2.60). The training then begins anew from its last checkpoint, as often as workers may be replaced.
    """
    lost = None
    for _ in range(max_restarts + 1):
        try:
            trainer().fit()
        except ControllerError as error:
            lost = error
            if not isinstance(error.controller_failure, RayActorError):
                return lost
            log.warning("training: a worker was lost while the workers began; they are started again")
        except TrainingFailedError as error:
            return error
        else:
            return None
    return lost


def _trainer(
    worker: Callable[[dict[str, Any]], None],
    settings: dict[str, Any],
    scaling: ScalingConfig,
    output: str,
    resources: ResourcesConfig,
) -> Callable[[], TorchTrainer]:
    fs, path = storage.arrow_filesystem(output)
    failures = FailureConfig(max_failures=resources.max_restarts)
    return partial(
        TorchTrainer,
        worker,
        train_loop_config=settings,
        torch_config=TorchConfig(timeout_s=int(resources.stall_s)),
        scaling_config=scaling,
        run_config=RunConfig(name=CHECKPOINTS, storage_path=path, storage_filesystem=fs, failure_config=failures),
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
def own_dashboard() -> Iterator[None]:
    """Tell Ray Train's processes where the dashboard of their own cluster is, or that it has none.

    One of them asks the dashboard whether the controller lives, and removes the workers if it does not (Ray 2.60).
    Without this it asks the dashboard of any other Ray on the machine, or the one in the user's environment variable,
    which does not know the controller.
    """
    url, before = get_dashboard_url(), os.environ.get(ADDRESS)
    constants.ENV_VARS_TO_PROPAGATE.add(ADDRESS)
    os.environ[ADDRESS] = f"http://{url}" if url else NO_DASHBOARD
    try:
        yield
    finally:
        if before is None:
            del os.environ[ADDRESS]
        else:
            os.environ[ADDRESS] = before


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
