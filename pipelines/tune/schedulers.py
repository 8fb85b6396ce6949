"""The scheduler of a search, which stops trials early or replaces them: Ray Tune's own, configured."""

import math
import random
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)

from pipelines.search.trial_values import longest_warmup
from pipelines.tune.trial import METRIC, TIME
from pipelines.tune.trial_records import TrialRecord
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig


def make_scheduler(config: TuneConfig, space: Space, ended: Iterable[TrialRecord]) -> TrialScheduler:
    """The scheduler that a config names.

    Args:
        config: The search.
        space: What is searched.
        ended: The trials that have ended already, which new ones are compared with.
    """
    if config.scheduler == "none":
        return FIFOScheduler()
    if config.scheduler == "pbt":
        return _pbt(config, space)
    scheduler = _median(config) if config.scheduler == "median" else _halving(config)
    _replay(scheduler, ended)
    return scheduler


def _halving(config: TuneConfig) -> ASHAScheduler:
    """Successive halving, or with several brackets HyperBand."""
    epochs = config.optimization.epochs
    options = config.hyperband if config.scheduler == "hyperband" else config.asha
    # Ray draws the bracket of each trial from NumPy's global generator.
    np.random.seed(config.seed % 2**32)
    return ASHAScheduler(
        time_attr=TIME,
        metric=METRIC,
        mode="min",
        max_t=epochs,
        grace_period=min(options.grace_epochs, epochs),
        reduction_factor=options.reduction,
        brackets=config.hyperband.brackets if config.scheduler == "hyperband" else 1,
        # A training ends by itself after its last epoch; if it were stopped there, it would not write its report.
        stop_last_trials=False,
    )


def _median(config: TuneConfig) -> MedianStoppingRule:
    return MedianStoppingRule(
        time_attr=TIME,
        metric=METRIC,
        mode="min",
        grace_period=config.median.grace_epochs,
        min_samples_required=config.median.min_trials,
        # With an infinite slice, trials continue while there are too few to compare with, because they cannot be
        # paused.
        min_time_slice=math.inf,  # pyright: ignore[reportArgumentType]
    )


def _replay(scheduler: TrialScheduler, ended: Iterable[TrialRecord]) -> None:
    """Compare new trials also with those that ended before the search was interrupted."""
    # The median rule ignores single results of a trial that it would stop, but uses all results of a completed trial.
    is_median = isinstance(scheduler, MedianStoppingRule)
    tell = scheduler.on_trial_complete if is_median else scheduler.on_trial_result
    for record in ended:
        trial = Trial("training", trial_id=record.name, stub=True)
        scheduler.on_trial_add(None, trial)  # pyright: ignore[reportArgumentType]
        best_mm = math.inf
        for epoch, score_mm in sorted(record.scores_mm.items()):
            if epoch > record.warmup_epochs:
                best_mm = min(score_mm, best_mm)
            tell(None, trial, {TIME: epoch, METRIC: best_mm})  # pyright: ignore[reportArgumentType]


def _pbt(config: TuneConfig, space: Space) -> PopulationBasedTraining:
    interval = config.pbt.interval_epochs
    warmup_epochs = longest_warmup(config, space)
    # Which trials are compared depends on timing, but with a seed the values drawn then do not.
    random.seed(config.seed)
    # Tune advises to reuse processes. That would save seconds, but values could persist in them.
    warnings.filterwarnings("ignore", message="Consider boosting PBT performance")

    def within_bounds(values: dict[str, Any]) -> dict[str, Any]:
        return values | {path: clamp(space, path, values[path]) for path in space}

    return PopulationBasedTraining(
        time_attr=TIME,
        metric=METRIC,
        mode="min",
        perturbation_interval=interval,
        # The first comparison comes after the warm-up, whose errors do not count, and after a whole number of
        # intervals.
        burn_in_period=interval * (warmup_epochs // interval + 1),
        hyperparam_mutations=_mutations(space),
        quantile_fraction=config.pbt.quantile,
        resample_probability=config.pbt.resample,
        custom_explore_fn=within_bounds,
        log_config=False,
    )


def clamp(space: Space, path: str, value: Any) -> Any:
    """The value, moved to the nearer bound if it is outside, and to the nearest step where there are steps."""
    dimension = space[path]
    if dimension.kind == "choice":
        return value
    low, high = dimension.values
    value = min(max(value, low), high)
    step = dimension.step
    if step is None or dimension.size is None:
        return value
    return low + min(round((value - low) / step), dimension.size - 1) * step


def _mutations(space: Space) -> dict[str, Any]:
    kinds: Mapping[str, Any] = {
        "uniform": tune.uniform,
        "loguniform": tune.loguniform,
        # Tune excludes the upper bound, so 1 is added.
        "randint": lambda low, high: tune.randint(low, high + 1),
        "lograndint": lambda low, high: tune.lograndint(low, high + 1),
        "choice": lambda *choices: list(choices),
    }
    return {path: kinds[dimension.kind](*dimension.values) for path, dimension in space.items()}
