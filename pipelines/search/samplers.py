"""Samplers choose the values of each trial: at random, every combination, or near those of good trials (TPE)."""

import itertools
import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import optuna

from pipelines.search import optuna_study
from pipelines.search.space import grid_values
from schemas.configs.search_space import Dimension, Space
from schemas.configs.tune import TuneConfig


class Sampler(Protocol):
    """Proposes values for trials and is told their results."""

    def propose(self, number: int) -> dict[str, Any]:
        """Values by dotted path for trial `number`, which counts from 1."""
        ...

    def tell(
        self, number: int, parameters: Mapping[str, Any], state: optuna_study.Ended, scores_mm: Mapping[int, float], /
    ) -> None:
        """Take the result of a trial that ended in this run of the search or before it was interrupted."""
        ...


def make_sampler(config: TuneConfig, space: Space, started: int) -> Sampler:
    """The sampler that a config names.

    Args:
        config: The search.
        space: What is searched.
        started: Number of trials that have started already.
    """
    if config.sampler == "tpe":
        return _Tpe(space, config.seed, started)
    return _Random(space, config.seed) if config.sampler == "random" else _Grid(space)


class _Random:
    """Draws each trial independently: its values depend on the seed and its number alone."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed

    def propose(self, number: int) -> dict[str, Any]:
        random = np.random.default_rng([self._seed, number])
        return {path: _draw(dimension, random) for path, dimension in self._space.items()}

    def tell(self, *_: object) -> None:
        pass


class _Grid:
    """Every combination in turn; the last field changes fastest."""

    def __init__(self, space: Space) -> None:
        values = (grid_values(dimension) for dimension in space.values())
        self._combinations = [dict(zip(space, combination, strict=True)) for combination in itertools.product(*values)]

    def propose(self, number: int) -> dict[str, Any]:
        return self._combinations[number - 1]

    def tell(self, *_: object) -> None:
        pass


class _Tpe:
    """Optuna's tree-structured Parzen estimator.

    Running trials count as bad ones (`constant_liar`), so that those started together differ.
    """

    def __init__(self, space: Space, seed: int, started: int) -> None:
        self._space, self._distributions = space, optuna_study.distributions(space)
        # With the same seed, a search that continues would propose the values of its first trials again.
        own_seed = int(np.random.SeedSequence([seed, started]).generate_state(1)[0])
        sampler = optuna.samplers.TPESampler(seed=own_seed, constant_liar=True)
        self._study = optuna.create_study(sampler=sampler, direction="minimize")
        self._asked: dict[int, optuna.trial.Trial] = {}

    def propose(self, number: int) -> dict[str, Any]:
        trial = self._study.ask(self._distributions)
        self._asked[number] = trial
        return optuna_study.to_values(self._space, trial.params)

    def tell(
        self, number: int, parameters: Mapping[str, Any], state: optuna_study.Ended, scores_mm: Mapping[int, float]
    ) -> None:
        asked = self._asked.pop(number, None)
        if asked is None:
            self._study.add_trial(optuna_study.ended_trial(self._space, parameters, state, scores_mm))
            return
        for epoch, score_mm in scores_mm.items():
            asked.report(score_mm, epoch)
        value = min(scores_mm.values()) if state == "finished" else None
        self._study.tell(asked, value, state=optuna_study.STATES[state])


def _draw(dimension: Dimension, random: np.random.Generator) -> Any:
    if dimension.kind == "choice":
        return dimension.values[int(random.integers(len(dimension.values)))]
    low, high = dimension.values
    if dimension.kind == "randint":
        return int(random.integers(low, high, endpoint=True))
    if dimension.kind == "uniform":
        return float(random.uniform(low, high))
    return float(math.exp(random.uniform(math.log(low), math.log(high))))
