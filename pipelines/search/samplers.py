"""Samplers choose the values of each trial: Optuna's, by the names in a table."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, BruteForceSampler, GPSampler, RandomSampler, TPESampler

from pipelines.search import optuna_study
from pipelines.search.optuna_study import Ending
from pipelines.search.space import MOST_COMBINATIONS, combinations, outside, own_values
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig

SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    # Running trials count as bad ones (`constant_liar`), so that those started together differ.
    "tpe": lambda seed: TPESampler(seed=seed, constant_liar=True),
    "gp": lambda seed: GPSampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
    "grid": lambda seed: BruteForceSampler(seed=seed),
}
# How often a sampler may propose values that were tried already, before it is given others that were not.
MOST_REPEATS = 20


@dataclass(frozen=True)
class Beginning:
    """What a search knows before its first trial.

    Attributes:
        points: Values to try first, by dotted path.
        earlier: Values of earlier searches' trials, and how these ended.
    """

    points: Sequence[Mapping[str, Any]] = ()
    earlier: Sequence[tuple[Mapping[str, Any], Ending]] = ()


NOTHING_KNOWN = Beginning()


def known_combinations(config: TuneConfig, space: Space, beginning: Beginning) -> int:
    """Number of combinations that earlier searches have tried, without the config's own, which is tried in any case."""
    own = own_values(config, space)
    inside = [values for values, _ in beginning.earlier if not outside(space, values)]
    return len({_key(optuna_study.labels(space, values)) for values in inside if values != own})


class Sampler:
    """Proposes values for trials and is told their results.

    What it proposes follows from the seed, the trial's number and the results told before, so that a search that
    continues after an interruption chooses as it would have without one.

    Args:
        config: The search.
        space: What is searched.
        beginning: What is known before.
    """

    def __init__(self, config: TuneConfig, space: Space, beginning: Beginning = NOTHING_KNOWN) -> None:
        # Optuna's tree of tried combinations expects one order; a recipe's may change.
        self._space = {path: space[path] for path in sorted(space)}
        self._make, self._seed = SAMPLERS[config.sampler], config.seed
        # Members of a population change their values while they train, so that equal ones become different.
        self._repeats = config.scheduler == "pbt"
        self._combinations = combinations(space)
        own = own_values(config, space)
        self._own = None if outside(space, own) else own
        self._points = list(beginning.points)
        self._distributions = optuna_study.distributions(self._space)
        self._study = optuna.create_study(sampler=RandomSampler(seed=0), direction="minimize")
        self._asked: dict[int, optuna.trial.Trial] = {}
        # The values of all trials, each as a text.
        self._tried: set[str] = set()
        for parameters, ending in beginning.earlier:
            self.tell(None, parameters, ending)

    def propose(self, number: int) -> dict[str, Any]:
        """Values by dotted path for trial `number`, which counts from 1: the config's own, the points, then others."""
        if number == 1 and self._own is not None:
            self.resume(number, self._own)
            return self._own
        while self._points:
            point = dict(self._points.pop(0))
            if not self._was_tried(point):
                self.resume(number, point)
                return point
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        trial = self._ask(self._sampler(self._make, seed), MOST_REPEATS)
        if trial is None:
            trial = self._ask(self._sampler(self._untried, seed), MOST_REPEATS)
        assert trial is not None, "every combination of the search space was tried"
        self._tried.add(_key(trial.params))
        self._asked[number] = trial
        return optuna_study.to_values(self._space, trial.params)

    def resume(self, number: int, parameters: Mapping[str, Any]) -> None:
        """Take the values of a trial that goes on, so that they are not proposed to another one meanwhile."""
        labels = optuna_study.labels(self._space, parameters)
        self._tried.add(_key(labels))
        if not outside(self._space, parameters):
            self._study.enqueue_trial(labels)
            self._asked[number] = self._study.ask(self._distributions)

    def tell(self, number: int | None, parameters: Mapping[str, Any], ending: Ending) -> None:
        """Take the result of a trial that ended in this run of the search or before it was interrupted.

        Args:
            number: Of the trial; None if it belongs to another search.
            parameters: Its values by dotted path.
            ending: How it ended.
        """
        self._tried.add(_key(optuna_study.labels(self._space, parameters)))
        asked = None if number is None else self._asked.pop(number, None)
        if asked is None and outside(self._space, parameters):
            return  # Optuna takes no such trial, and nothing follows from it for those that it can propose
        if asked is None:
            self._study.add_trial(optuna_study.ended_trial(self._space, parameters, ending))
        else:
            # A sampler of combinations would now try to end Optuna's own loop, which is not used here.
            self._study.sampler = RandomSampler(seed=0)
            optuna_study.end_trial(self._study, asked, ending)

    def _ask(self, sampler: BaseSampler, attempts: int) -> optuna.trial.Trial | None:
        """A trial with values that were not tried; None if the sampler proposes only others."""
        for _ in range(attempts):
            self._study.sampler = sampler
            trial = self._study.ask(self._distributions)
            if self._repeats or _key(trial.params) not in self._tried:
                return trial
            # The same values would have the same result, which the sampler has been or will be told already.
            self._study.sampler = RandomSampler(seed=0)
            optuna_study.end_trial(self._study, trial, Ending("failed"))
        return None

    def _was_tried(self, parameters: Mapping[str, Any]) -> bool:
        return _key(optuna_study.labels(self._space, parameters)) in self._tried

    def _untried(self, seed: int) -> BaseSampler:
        """For values that were not tried: combinations are listed where they are few."""
        few = self._combinations is not None and self._combinations <= MOST_COMBINATIONS
        return BruteForceSampler(seed=seed) if few else RandomSampler(seed=seed)

    @staticmethod
    def _sampler(make: Callable[[int], BaseSampler], seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            # Some have been in Optuna for years and are still called experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return make(seed)


def _key(labels: Mapping[str, Any]) -> str:
    return json.dumps(labels, sort_keys=True)
