"""The tune job: prepare (check the search), survey (what the output holds), execute (run the missing trials).

Ray Tune runs the trials; the output, not Ray Tune's own files, is what an interrupted search continues from.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler

from pipelines.io import storage
from pipelines.io.manifest import ExistingRun, RunManifest
from pipelines.mlflow_runs import runs
from pipelines.ray_cluster import session
from pipelines.ray_cluster.waiting import told_if_nothing_fits
from pipelines.search.conditions import combinations, outside
from pipelines.search.points import read_points
from pipelines.search.samplers import NOTHING_KNOWN, Beginning, known_combinations
from pipelines.search.space import search_space
from pipelines.search.trial_values import own_values, trial_config, trial_count
from pipelines.train.initial_weights import Start, keep_copy
from pipelines.train.plan import TrainingPlan
from pipelines.train.run import data_digest, training_settings
from pipelines.tune import search_report, trial_records
from pipelines.tune.budgets import require_time
from pipelines.tune.capacity import GrowingCapacity, TrialCapacity, in_words, process_resources
from pipelines.tune.held_out_test import require_apart
from pipelines.tune.lifter_costs import LifterCosts, require_some_lifter
from pipelines.tune.listener import SearchListener
from pipelines.tune.placement_groups import PlacementGroupCleaner
from pipelines.tune.population import Population
from pipelines.tune.ranking import Ranking
from pipelines.tune.schedulers import make_scheduler
from pipelines.tune.search import Search
from pipelines.tune.shared_tracks import start_track_sets
from pipelines.tune.shared_warmup import remove_warmups, trials_share_warmups
from pipelines.tune.start import start_of
from pipelines.tune.trainable import require_trainable
from pipelines.tune.trial import TrainingTrial
from pipelines.tune.trial_records import MANIFEST, TrialRecord
from pipelines.tune.trial_runs import is_sent
from pipelines.tune.tune_adapter import BudgetStopper, SearchCallback, TrialSource
from pipelines.tune.warm_start import read_earlier
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfigs, flatten

FORMAT = "raylift.search/1"
# These settings may change when a search continues: its place, its resources, its length and what follows its trials.
_MAY_CHANGE = {
    *("output", "resources", "max_concurrent_trials", "retries", "trials", "points", "warm_start", "test_subjects"),
    *("repeat_best", "seeds", "budget", "budget_trials_h", "trial_timeout", "patience", "finish", "keep_models"),
}
# Ray Tune's own folder in the output, which is removed when the search ends.
TUNE_FOLDER = "tune"
# Ray Tune keeps this many checkpoints of each trial under population-based training. With fewer, one that another trial
# is about to continue from could be removed before it is read.
CHECKPOINTS_KEPT = 4

_ENVIRONMENT = {
    # Ctrl-C ends the job at once: finished work is kept, and the same command continues it.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The job shows its own progress, and Tune's newer display cannot be turned off.
    "RAY_AIR_NEW_OUTPUT": "0",
    # CSV files and TensorBoard are off, because MLflow and the output have the same content.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # If a search ends because its output cannot be written, the errors of its last trials explain nothing.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    # Searches go on from their trials' records, so Tune need not write its state of all of them again and again (s).
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
}


@dataclass(frozen=True)
class TuneJob:
    """A search whose config, space and data have been checked.

    Attributes:
        config: The config.
        space: What is searched, by dotted path.
        trials: Number of trials, without those that repeat the best ones.
        data: Digest of the tracks.
        beginning: The knowledge before the first trial.
        start: The lifter that every trial starts from; None: fresh weights.
        plan: The tracks that the trials read; None if they were not looked at.
        costs: Measures what lifters cost; None if trials are not compared by it.
    """

    config: TuneConfig
    space: Space
    trials: int
    data: str
    beginning: Beginning = NOTHING_KNOWN
    start: Start | None = None
    plan: TrainingPlan | None = None
    costs: LifterCosts | None = None

    @property
    def exhausts_space(self) -> bool:
        """Whether the trials are all combinations of the search space."""
        count = combinations(self.space)
        return count is not None and self.trials == count - known_combinations(self.config, self.space, self.beginning)

    @property
    def untried_defaults(self) -> dict[str, Any]:
        """The config's own values of searched fields that lie outside the search space; otherwise trial 1 has them."""
        return outside(self.space, own_values(self.config, self.space))

    @property
    def manifest(self) -> RunManifest:
        """The manifest in the output. The search space is that of the checked dimensions, however it was written."""
        settings = self.config.model_dump(mode="json", exclude={*_MAY_CHANGE, "search_space"})
        space = {path: dimension.document() for path, dimension in self.space.items()}
        if self.start is not None:
            # Trials start from a copy of the lifter in the output, so the lifter's own name is recorded.
            settings |= {"weights": self.start.name, "weights_sha256": self.start.sha256}
        settings = training_settings(self.config, flatten(settings | {"search_space": space}))
        return RunManifest(FORMAT, settings, self.data)


@dataclass(frozen=True)
class TuneWork:
    """What the output of a search holds.

    Attributes:
        run_id: The MLflow run of the search that the output holds; None if the output is new.
        records: Its trials, by number.
        nothing_to_do: Whether every trial has ended, and the report and MLflow say so.
        trains: Whether a trial is to be trained.
    """

    run_id: str | None
    records: tuple[TrialRecord, ...]
    nothing_to_do: bool
    trains: bool = True


def prepare(config: TuneConfig, plugins: PluginConfigs) -> TuneJob:
    """Check a search without writing anything.

    Args:
        config: The config.
        plugins: Returns the config class of a plug-in's options.

    Raises:
        UserError: The training lacks searched fields, no trial can be trained with some values, tracks or weights do
            not fit the training, test people are trained on, points lie outside the space, or earlier
            searches cannot be compared, or no lifter keeps to a limit.
    """
    config, start = start_of(config)
    space = search_space(config, plugins)
    points = read_points(config, space)
    training = trial_config(config, {}, config.output)
    plan = require_trainable(config, space, start)
    require_apart(config, plan, start)
    costs = LifterCosts(config, plan) if config.costs else None
    if costs and not storage.exists(storage.join(config.output, MANIFEST)):
        require_some_lifter(config, space, costs)
    data = data_digest(training)
    beginning = Beginning(points, read_earlier(config, space, data))
    trials = trial_count(config, space, known_combinations(config, space, beginning))
    if trials == 0:
        raise UserError(
            f"warm_start={config.warm_start}: these searches have tried every combination of the search space; give a "
            "larger one"
        )
    return TuneJob(config, space, trials, data, beginning, start, plan, costs)


def survey(job: TuneJob) -> TuneWork:
    """Find out what the output holds.

    Raises:
        UserError: The output holds a search with other settings or data, or another job; the budget is too short.
    """
    output = job.config.output
    existing = job.manifest.existing_run(output, "tracks", MANIFEST)
    if existing is None and storage.exists(storage.join(output, "run.json")):
        raise UserError(f"output={output}: holds a training; give another output")
    own = own_values(job.config, job.space)
    records = tuple(trial_records.read_trials(output, job.space, own))
    ranking = Ranking(job.config, own, records)
    ended = job.config.finish or (
        len(ranking.proposed) >= job.trials and all(r.ended for r in records) and not ranking.missing_repeats
    )
    done = ended and _is_reported(job, existing, records) and is_sent(output)
    work = TuneWork(existing and existing.run_id, records, done, not ended)
    if not ended:
        require_time(job.config, records)
    return work


def _is_reported(job: TuneJob, existing: ExistingRun | None, records: Sequence[TrialRecord]) -> bool:
    """Whether the report of an output has all trials, and their test."""
    if existing is None or existing.report is None:
        return False
    # Version 0.1.0 had no test.
    tested = (existing.report.get("test") or {}).get("subjects", [])
    return len(existing.report["trials"]) == len(records) and tested == list(job.config.test_subjects)


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
    if job.start is not None:
        keep_copy(job.start, job.config.output)
    search = Search(job.config, job.space, run, listener, job.beginning, job.costs)
    search.send_ended()
    _train(job, capacity, search)
    search.repeat_best()
    _train(job, capacity, search)
    remove_warmups(job.config.output)
    report = search_report.write_report(search, job.data, run)
    job.manifest.write(job.config.output, run.run_id, MANIFEST)  # the run may have begun meanwhile
    return report


def _train(job: TuneJob, capacity: TrialCapacity, search: Search) -> None:
    """Run the trials that wait."""
    if not search.waiting:
        return
    try:
        with told_if_nothing_fits(in_words(job.config.resources, capacity)):
            _tuner(job, capacity, search).fit()
    except BaseException as error:
        if search.failure is not None:
            raise search.failure from error
        raise
    finally:
        # Trials may be unfinished, after an error or at the end of a budget; the next command continues them.
        search.interrupt()
    storage.remove_folder(storage.join(job.config.output, TUNE_FOLDER))


def _tuner(job: TuneJob, capacity: TrialCapacity, search: Search) -> tune.Tuner:
    config = job.config
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    # Ray's messages are off, because the job itself reports failed trials and an output that cannot be written.
    for name in ("ray.tune", "ray.train._internal.storage"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    storage.remove_folder(storage.join(config.output, TUNE_FOLDER))
    fs, path = storage.arrow_filesystem(config.output)
    population = None
    if config.scheduler == "pbt":
        population = Population.options(scheduling_strategy=session.here()).remote(search.waiting)
    with_parameters = tune.with_parameters(
        TrainingTrial,
        search=config,
        data=job.data,
        population=population,
        track_sets=start_track_sets(),
        run_id=search.run.run_id,
        shares_warmups=trials_share_warmups(config, job.space),
    )
    trainable: Any = tune.with_resources(
        with_parameters, tune.PlacementGroupFactory([process_resources(config.resources)])
    )
    # Ray shows this name as the process's title; otherwise it would show that of its wrapper.
    trainable.__qualname__ = TrainingTrial.__qualname__
    cleaners = [PlacementGroupCleaner()] if config.resources.num_workers > 1 else []
    ended = [record for record in search.ranking.proposed if record.ended]
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=TrialSource(search, GrowingCapacity(config, capacity.trials), config.retries),
            # Repeats run to their end, because a stopped one would have no error to compare.
            scheduler=FIFOScheduler() if search.repeating else make_scheduler(config, search.space, ended),
            num_samples=len(search.waiting),
            # Members of a population pass their weights from process to process.
            reuse_actors=config.scheduler != "pbt",
        ),
        run_config=tune.RunConfig(
            name=TUNE_FOLDER,
            storage_path=path,
            storage_filesystem=fs,
            stop=BudgetStopper(search),
            failure_config=tune.FailureConfig(max_failures=config.retries),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT, checkpoint_at_end=False),
            callbacks=[SearchCallback(search, population), *cleaners],
            verbose=0,
        ),
    )
