"""A search from start to end: Ray Tune runs the trials, the output keeps what they found."""

import logging
import os
from dataclasses import dataclass

import ray
from ray import tune

from pipelines.io import storage
from pipelines.mlflow_runs import runs
from pipelines.ray_cluster import session
from pipelines.tune.population import Population
from pipelines.tune.proposals import Proposals, Watch
from pipelines.tune.reservations import Reservations
from pipelines.tune.schedulers import make_scheduler
from pipelines.tune.search import Listener, Search
from pipelines.tune.trial import TrainingTrial
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

# Ray Tune's folder within the output; the search itself is kept elsewhere, and this one is removed at its end.
TUNE = "tune"
# What a trial's own process takes beside its workers: memory for Python, torch and Ray, and no CPU to speak of. A CPU
# asked for here would be one that workers wait for.
TRIAL_MEMORY_BYTES = 500 * 10**6
# Trials go on from checkpoints of others, which must not be removed before they have read them.
CHECKPOINTS_KEPT = 4

_ENVIRONMENT = {
    # Ctrl-C ends the job at once: what is finished is kept, and running the same command goes on.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The job draws its own progress; Tune's newer one cannot be silenced.
    "RAY_AIR_NEW_OUTPUT": "0",
    # MLflow and the output hold what CSV files and TensorBoard would.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # What trials still fail for when a search ends early, its output being lost, is nobody's news.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}


@dataclass(frozen=True)
class Room:
    """What the cluster has for trials: `trials` of them at a time."""

    trials: int
    workers: int


def find_room(config: TuneConfig) -> Room:
    """How many trials fit the cluster at a time, so that none waits for workers that another holds.

    Raises:
        UserError: Not even one does, or a population does not fit at once.
    """
    session.connect(dashboard=True)
    wanted, cpus = config.resources, config.resources.cpus_per_worker or 1
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    workers = sum(_workers_on(node, cpus, wanted.use_gpu) for node in nodes)
    drivers = sum(int(node.get("memory", 0) // TRIAL_MEMORY_BYTES) for node in nodes)
    trials = min(workers // wanted.num_workers, drivers)
    each = f"{cpus} CPUs" + (" and a GPU" if wanted.use_gpu else "")
    if workers < wanted.num_workers:
        raise UserError(
            f"resources.num_workers={wanted.num_workers}: a trial's workers take {each} each, the cluster has room for "
            f"{workers}; give fewer workers, or resources that fit"
        )
    if drivers == 0:
        raise UserError(
            f"output={config.output}: a trial takes {TRIAL_MEMORY_BYTES / 1e6:.0f} MB beside its workers, and no "
            "machine of the cluster has them; free some memory"
        )
    return Room(min(trials, config.max_concurrent_trials or trials), workers)


def require_population(config: TuneConfig, count: int, room: Room) -> None:
    """Check that a population trains at the same time: its trials go on from each other.

    Raises:
        UserError: It does not fit, or there is only one.
    """
    if config.scheduler != "pbt":
        return
    if count < 2:
        raise UserError(f"trials={count}: scheduler=pbt compares trials with each other; give at least 2")
    if count > room.trials:
        raise UserError(
            f"trials={count}: scheduler=pbt trains all trials at the same time, and {room.trials} fit "
            f"(resources.num_workers={config.resources.num_workers}, {room.workers} workers in all, "
            f"max_concurrent_trials={config.max_concurrent_trials}); give trials={room.trials} or smaller trials"
        )


def execute(config: TuneConfig, space: Space, data: str, room: Room, run: runs.Run, listener: Listener) -> Search:
    """Run the trials that the output lacks.

    Args:
        config: The job.
        space: What is searched.
        data: The digest of its tracks.
        room: What fits.
        run: The search's MLflow run.
        listener: Hears how it goes.

    Returns:
        The search, each of its trials ended.

    Raises:
        RunFailed: The output cannot be written.
    """
    search = Search(config, space, run, listener)
    if search.waiting:
        try:
            _tuner(config, data, room, search).fit()
        except BaseException as error:
            search.interrupt()
            if search.failure is not None:
                raise search.failure from error
            raise
        storage.remove_folder(storage.join(config.output, TUNE))
    return search


def _tuner(config: TuneConfig, data: str, room: Room, search: Search) -> tune.Tuner:
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    # Failed trials are told of by the job, in a line each, and so is an output that cannot be written.
    for name in ("ray.tune", "ray.train._internal.storage"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    storage.remove_folder(storage.join(config.output, TUNE))
    fs, path = storage.arrow_filesystem(config.output)
    population = None
    if config.scheduler == "pbt":
        population = Population.options(scheduling_strategy=session.here()).remote(search.waiting)
    trainable = tune.with_parameters(TrainingTrial, search=config, data=data, population=population)
    ended = [record for record in search.records.values() if record.ended]
    return tune.Tuner(
        tune.with_resources(trainable, tune.PlacementGroupFactory([{"memory": TRIAL_MEMORY_BYTES}])),
        tune_config=tune.TuneConfig(
            search_alg=Proposals(search, room.trials, config.retries),
            scheduler=make_scheduler(config, search.space, ended),
            num_samples=len(search.waiting),
            # A trial that was stopped leaves nothing to the next one.
            reuse_actors=False,
        ),
        run_config=tune.RunConfig(
            name=TUNE,
            storage_path=path,
            storage_filesystem=fs,
            failure_config=tune.FailureConfig(max_failures=config.retries),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT, checkpoint_at_end=False),
            callbacks=[Watch(search, population), Reservations()],
            verbose=0,
        ),
    )


def _workers_on(node: dict[str, float], cpus: int, use_gpu: bool) -> int:
    fit = node.get("CPU", 0) // cpus
    return int(min(fit, node.get("GPU", 0)) if use_gpu else fit)
