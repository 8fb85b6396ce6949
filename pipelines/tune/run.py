"""The tune job: prepare (check the search), survey (what the output holds), execute (run the missing trials).

Ray Tune runs the trials; the output, not Ray Tune's own files, is what an interrupted search continues from.
"""

import logging
import os
from dataclasses import dataclass
from typing import Any

from ray import tune

from pipelines.io import storage
from pipelines.io.manifest import RunManifest
from pipelines.mlflow_runs import runs
from pipelines.ray_cluster import session
from pipelines.search.space import combinations, outside, own_values, search_space, trial_config, trial_count
from pipelines.train.plan import plan_training
from pipelines.tune import search_report, trial_records
from pipelines.tune.capacity import TRIAL_MEMORY_BYTES, TrialCapacity
from pipelines.tune.placement_groups import PlacementGroupCleaner
from pipelines.tune.population import Population
from pipelines.tune.schedulers import make_scheduler
from pipelines.tune.search import Search, SearchListener
from pipelines.tune.trial import TrainingTrial
from pipelines.tune.trial_records import TrialRecord
from pipelines.tune.tune_adapter import SearchCallback, TrialSource
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig
from schemas.errors import RunFailed, UserError
from schemas.job_config import PluginConfigs, flatten

FORMAT, MANIFEST = "raylift.search/1", "search.json"
# What may differ when a search continues: its place, its resources and its length.
_MAY_CHANGE = {"output", "resources", "max_concurrent_trials", "retries", "trials"}
# Ray Tune's own folder in the output, which is removed when the search ends.
TUNE_FOLDER = "tune"
# Checkpoints that Ray Tune keeps of each trial under population-based training. With fewer, one that another trial is
# about to continue from could be removed before it is read.
CHECKPOINTS_KEPT = 4

_ENVIRONMENT = {
    # Ctrl-C ends the job at once: finished work is kept, and the same command continues.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The job shows its own progress, and Tune's newer display cannot be turned off.
    "RAY_AIR_NEW_OUTPUT": "0",
    # MLflow and the output hold what CSV files and TensorBoard would.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # When a search ends early because its output cannot be written, the errors of its last trials explain nothing.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}


@dataclass(frozen=True)
class TuneJob:
    """A search whose config, space and data have been checked.

    Attributes:
        config: The config.
        space: What is searched, by dotted path.
        trials: Number of trials.
        data: Digest of the tracks.
    """

    config: TuneConfig
    space: Space
    trials: int
    data: str

    @property
    def exhausts_space(self) -> bool:
        """Whether the trials are all combinations of the search space."""
        return self.trials == combinations(self.space)

    @property
    def untried_defaults(self) -> dict[str, Any]:
        """The config's own values of searched fields that lie outside the search space; otherwise trial 1 has them."""
        return outside(self.space, own_values(self.config, self.space))

    @property
    def manifest(self) -> RunManifest:
        """What the output says of it. The search space is that of the checked dimensions, however it was written."""
        settings = self.config.model_dump(mode="json", exclude={*_MAY_CHANGE, "search_space"})
        space = {path: dimension.document() for path, dimension in self.space.items()}
        return RunManifest(FORMAT, flatten(settings | {"search_space": space}), self.data)


@dataclass(frozen=True)
class TuneWork:
    """What the output of a search holds.

    Attributes:
        run_id: The MLflow run of the search that the output holds; None if the output is new.
        records: Its trials, by number.
        nothing_to_do: Whether every trial has ended and the report says so.
    """

    run_id: str | None
    records: tuple[TrialRecord, ...]
    nothing_to_do: bool


def prepare(config: TuneConfig, plugins: PluginConfigs) -> TuneJob:
    """Check a search without writing anything.

    Args:
        config: The config.
        plugins: Returns the config class of a plug-in's options.

    Raises:
        UserError: A space that the training does not have, or tracks that do not fit the training.
    """
    space = search_space(config, plugins)
    plan = plan_training(trial_config(config, {}, config.output))
    return TuneJob(config, space, trial_count(config, space), plan.digest)


def survey(job: TuneJob) -> TuneWork:
    """Find out what the output holds.

    Raises:
        UserError: It holds a search with other settings or of other data, or another job.
    """
    output = job.config.output
    existing = job.manifest.existing_run(output, "tracks", MANIFEST)
    if existing is None and storage.exists(storage.join(output, "run.json")):
        raise UserError(f"output={output}: holds a training; give another output")
    records = tuple(trial_records.read_trials(output))
    ended = len(records) >= job.trials and all(record.ended for record in records)
    reported = len(existing.report["trials"]) if existing and existing.report else 0
    return TuneWork(existing and existing.run_id, records, ended and reported == len(records))


def execute(job: TuneJob, capacity: TrialCapacity, run: runs.Run, listener: SearchListener) -> dict[str, Any]:
    """Run the trials that the output lacks; returns the report, also written to `report.json`.

    Args:
        job: The search.
        capacity: How many trials may run at a time.
        run: The search's MLflow run.
        listener: Follows the progress.

    Raises:
        RunFailed: The output cannot be written.
    """
    job.manifest.write(job.config.output, run.run_id, MANIFEST)
    search = Search(job.config, job.space, run, listener)
    if search.waiting:
        try:
            _tuner(job, capacity, search).fit()
        except BaseException as error:
            search.interrupt()
            if search.failure is not None:
                raise search.failure from error
            raise
        storage.remove_folder(storage.join(job.config.output, TUNE_FOLDER))
    return search_report.write_report(search, job.data, run)


def require_finished_trial(report: dict[str, Any]) -> None:
    """Refuse a search of which no trial is finished.

    Raises:
        RunFailed: None is; the message names the most frequent reasons.
    """
    if report["best"] is None:
        raise RunFailed(search_report.why_none(report))


def _tuner(job: TuneJob, capacity: TrialCapacity, search: Search) -> tune.Tuner:
    config = job.config
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    # The job itself reports failed trials, in a line each, and an output that cannot be written.
    for name in ("ray.tune", "ray.train._internal.storage"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    storage.remove_folder(storage.join(config.output, TUNE_FOLDER))
    fs, path = storage.arrow_filesystem(config.output)
    population = None
    if config.scheduler == "pbt":
        population = Population.options(scheduling_strategy=session.here()).remote(search.waiting)
    trainable = tune.with_parameters(
        TrainingTrial, search=config, data=job.data, population=population, run_id=search.run.run_id
    )
    ended = [record for record in search.records.values() if record.ended]
    return tune.Tuner(
        tune.with_resources(trainable, tune.PlacementGroupFactory([{"memory": TRIAL_MEMORY_BYTES}])),
        tune_config=tune.TuneConfig(
            search_alg=TrialSource(search, capacity.trials, config.retries),
            scheduler=make_scheduler(config, search.space, ended),
            num_samples=len(search.waiting),
            # A stopped trial must leave nothing to the next one.
            reuse_actors=False,
        ),
        run_config=tune.RunConfig(
            name=TUNE_FOLDER,
            storage_path=path,
            storage_filesystem=fs,
            failure_config=tune.FailureConfig(max_failures=config.retries),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT, checkpoint_at_end=False),
            callbacks=[SearchCallback(search, population), PlacementGroupCleaner()],
            verbose=0,
        ),
    )
