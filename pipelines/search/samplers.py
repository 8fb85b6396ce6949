"""Proposes the values of trials: the samplers are Optuna's, by the table in `schemas.configs.samplers`."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler

from pipelines.search import optuna_study
from pipelines.search.conditions import combinations, in_order, outside
from pipelines.search.optuna_study import Ending
from pipelines.search.space import MOST_COMBINATIONS
from pipelines.search.trial_values import own_values
from schemas.configs.samplers import SAMPLERS, SamplerKind
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig

# A sampler may propose values that were already tried this many times in a row; then a fallback proposes untried ones.
MOST_REPEATS = 20


@dataclass(frozen=True)
class Beginning:
    """The knowledge of a search before its first trial.

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
        # Optuna's tree of tried combinations expects a fixed order of fields, but the order in a recipe may change.
        self._space = in_order(space)
        self._kind, self._seed = SAMPLERS[config.sampler], config.seed
        # Members of a population change their values while they train, so equal values may become different.
        self._repeats = config.scheduler == "pbt"
        self._combinations = combinations(space)
        own = own_values(config, space)
        self._own = None if outside(space, own) else own
        # The values that are tried whatever the sampler proposes, and those of them that are left.
        self._given = [dict(point) for point in (*([] if self._own is None else [self._own]), *beginning.points)]
        self._points = [dict(point) for point in beginning.points]
        self._study = optuna.create_study(
            sampler=RandomSampler(seed=0), directions=optuna_study.directions(config.metrics)
        )
        self._asked: dict[int, optuna.trial.Trial] = {}
        # The values of all trials, each as text.
        self._tried: set[str] = set()
        for parameters, ending in beginning.earlier:
            self.tell(None, parameters, ending)

    def propose(self, number: int) -> dict[str, Any]:
        """Values by dotted path for trial `number`, which counts from 1: the config's own, the points, then others."""
        if number == 1 and self._own is not None:
            self.resume(number, self._own)
            return self._own
        while self._points:
            point = self._points.pop(0)
            if not self._was_tried(point):
                self.resume(number, point)
                return point
        self._asked[number] = trial = self._proposed(number)
        self._tried.add(_key(trial.params))
        return optuna_study.values_of(self._space, trial.params)

    def resume(self, number: int, parameters: Mapping[str, Any]) -> None:
        """Note the values of a trial that continues, so that they are not proposed to another one meanwhile."""
        if not outside(self._space, parameters):
            self._asked[number] = self._begun(number, parameters)
        self._tried.add(_key(optuna_study.labels(self._space, parameters)))

    def tell(self, number: int | None, parameters: Mapping[str, Any], ending: Ending) -> None:
        """Take the result of a trial that ended in this run of the search or before it was interrupted.

        Args:
            number: Of the trial; None if it belongs to another search.
            parameters: Its values by dotted path.
            ending: How it ended.
        """
        asked = None if number is None else self._asked.pop(number, None)
        # Optuna accepts no trial outside the space, and such a trial tells nothing about values inside.
        if asked is None and not outside(self._space, parameters):
            asked = self._begun(number, parameters)
        self._tried.add(_key(optuna_study.labels(self._space, parameters)))
        if asked is not None:
            self._end(asked, ending)

    def _begun(self, number: int | None, parameters: Mapping[str, Any]) -> optuna.trial.Trial:
        """A trial of the study that was begun with these values, by this run of the search or before."""
        proposed = number is not None and dict(parameters) not in self._given
        if number is not None and proposed and self._kind.has_memory:
            # The sampler proposes these values again, to restore what it remembered before the interruption.
            trial = self._proposed(number)
            if trial.params == optuna_study.labels(self._space, parameters):
                return trial
            self._end(trial, Ending("failed"))
        self._study.sampler = RandomSampler(seed=0)
        self._study.enqueue_trial(optuna_study.labels(self._space, parameters))
        trial = self._study.ask()
        optuna_study.draw(self._space, trial)
        return trial

    def _proposed(self, number: int) -> optuna.trial.Trial:
        """A trial of the study with values that were not tried."""
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        for kind in (self._kind, self._fallback):
            if (trial := self._ask(_make(kind, self._seed, seed))) is not None:
                return trial
        raise AssertionError("every combination of the search space was tried")

    @property
    def _fallback(self) -> SamplerKind:
        """The sampler for untried values: a list of all combinations if there are few of them."""
        few = self._combinations is not None and self._combinations <= MOST_COMBINATIONS
        return SAMPLERS["grid" if few else "random"]

    def _end(self, trial: optuna.trial.Trial, ending: Ending) -> None:
        # A sampler of combinations would try to end Optuna's own loop here, which is not used.
        self._study.sampler = RandomSampler(seed=0)
        optuna_study.end_trial(self._study, trial, ending)

    def _ask(self, sampler: BaseSampler) -> optuna.trial.Trial | None:
        """A trial with values that were not tried; None if the sampler proposes only others."""
        for _ in range(MOST_REPEATS):
            self._study.sampler = sampler
            trial = self._study.ask()
            optuna_study.draw(self._space, trial)
            if self._repeats or _key(trial.params) not in self._tried:
                return trial
            # Equal values would have an equal result, which the sampler already gets from the other trial.
            self._end(trial, Ending("failed"))
        return None

    def _was_tried(self, parameters: Mapping[str, Any]) -> bool:
        return _key(optuna_study.labels(self._space, parameters)) in self._tried


def _make(kind: SamplerKind, search_seed: int, trial_seed: int) -> BaseSampler:
    """One of Optuna's samplers, for one trial."""
    options = {"seed": trial_seed, **kind.options}
    if kind.is_sequence:
        options |= {"seed": search_seed, "independent_sampler": RandomSampler(seed=trial_seed)}
    with warnings.catch_warnings():
        # Some samplers have been in Optuna for years and are still called experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return getattr(optuna.samplers, kind.optuna_class)(**options)


def _key(labels: Mapping[str, Any]) -> str:
    return json.dumps(labels, sort_keys=True)
