"""Conversion to Optuna: dimensions become distributions, ended trials become trials of a study."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pipelines.search.conditions import is_active
from schemas.configs.search_metrics import LARGER_IS_BETTER
from schemas.configs.search_space import Dimension, Space

# Optuna's log is quiet, because jobs report trials themselves.
optuna.logging.set_verbosity(optuna.logging.WARNING)

# The name of the constraint, for Optuna, that values break if no training is possible with them.
TRAINABLE = "trainable"


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Attributes:
        state: `finished` after its last epoch, `stopped` by the scheduler, `infeasible` because of its own values (such
            as a network too large for the memory), or `failed` for a reason that says nothing about its values.
        scores_mm: Validation error after each epoch that counts, mm; the smallest one is the result of the trial.
        metrics: The results of a finished trial of a search by several metrics.
        excess: By constraint, how far the trial lies beyond it; not above 0 if it keeps to it.
    """

    state: Literal["finished", "stopped", "infeasible", "failed"]
    scores_mm: Mapping[int, float] = field(default_factory=dict)
    metrics: tuple[float, ...] = ()
    excess: Mapping[str, float] = field(default_factory=dict)

    @property
    def optuna_state(self) -> TrialState:
        """Optuna's state. It ranks `PRUNED` trials after complete ones, and learns nothing from failed ones."""
        if self.state == "finished":
            return TrialState.COMPLETE
        return TrialState.FAIL if self.state == "failed" else TrialState.PRUNED

    @property
    def constraints(self) -> dict[str, float]:
        """The values of constraints for Optuna; values above 0 break them."""
        return {**self.excess, **({TRAINABLE: 1.0} if self.state == "infeasible" else {})}

    @property
    def values(self) -> list[float] | None:
        """The results, one for each metric; None unless it is finished."""
        if self.state != "finished":
            return None
        return list(self.metrics) or [min(filter(math.isfinite, self.scores_mm.values()))]


def draw(space: Space, trial: optuna.trial.Trial) -> dict[str, Any]:
    """Values for the training config by dotted path, as the study's sampler draws them for a trial.

    Args:
        space: Each dimension after those that it depends on.
        trial: The trial, which has no values yet.
    """
    values: dict[str, Any] = {}
    for path, dimension in space.items():
        if is_active(dimension, values):
            drawn = _suggested(trial, path, distribution(dimension))
            values[path] = _choices(dimension).get(drawn, drawn)
    return values


def directions(metrics: Iterable[str]) -> list[StudyDirection]:
    """Whether larger or smaller values of metrics are better."""
    return [StudyDirection.MAXIMIZE if name in LARGER_IS_BETTER else StudyDirection.MINIMIZE for name in metrics]


def values_of(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the training config from those that Optuna drew."""
    return {path: _choices(space[path]).get(value, value) for path, value in drawn.items()}


def labels(space: Space, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Values in the form that Optuna accepts, which excludes lists."""
    return {path: _label(space[path], parameters[path]) for path in space if path in parameters}


def ended_trial(space: Space, parameters: Mapping[str, Any], ending: Ending, name: str = "") -> FrozenTrial:
    """An ended trial as a trial of Optuna.

    Args:
        space: The search space.
        parameters: Values by path, each in the space.
        ending: How it ended.
        name: Its name in the search.
    """
    return optuna.trial.create_trial(
        state=ending.optuna_state,
        values=ending.values,
        params=labels(space, parameters),
        distributions={path: distribution(space[path]) for path in parameters},
        # With several metrics, Optuna accepts only the results of whole trials.
        intermediate_values={} if ending.metrics else dict(ending.scores_mm),
        constraints=ending.constraints,
        user_attrs={"trial": name} if name else {},
    )


def end_trial(study: optuna.Study, trial: optuna.trial.Trial, ending: Ending) -> None:
    """End a trial that a study has proposed."""
    if len(study.directions) == 1:  # with several metrics, Optuna accepts only results of whole trials
        for epoch, score_mm in ending.scores_mm.items():
            trial.report(score_mm, epoch)
    for constraint, excess in ending.constraints.items():
        trial.set_constraint(constraint, excess)
    study.tell(trial, ending.values, state=ending.optuna_state)


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension as a distribution of Optuna."""
    if dimension.kind == "choice":
        return CategoricalDistribution(list(_choices(dimension)))
    low, high = dimension.values
    if dimension.step is not None:
        assert dimension.size is not None
        high = low + (dimension.size - 1) * dimension.step  # Optuna's highest value lies on a step
    if dimension.is_whole:
        return IntDistribution(low, high, log=dimension.is_log, step=int(dimension.step or 1))
    return FloatDistribution(low, high, log=dimension.is_log, step=dimension.step)


def _suggested(trial: optuna.trial.Trial, path: str, drawn_from: BaseDistribution) -> Any:
    if isinstance(drawn_from, CategoricalDistribution):
        return trial.suggest_categorical(path, drawn_from.choices)
    if isinstance(drawn_from, IntDistribution):
        return trial.suggest_int(path, drawn_from.low, drawn_from.high, step=drawn_from.step, log=drawn_from.log)
    assert isinstance(drawn_from, FloatDistribution)
    return trial.suggest_float(path, drawn_from.low, drawn_from.high, step=drawn_from.step, log=drawn_from.log)


def _choices(dimension: Dimension) -> dict[Any, Any]:
    """Choices by the labels that Optuna gets, because it accepts no lists."""
    return {_label(dimension, value): value for value in dimension.values} if dimension.kind == "choice" else {}


def _label(dimension: Dimension, value: Any) -> Any:
    if dimension.kind != "choice" or value is None or isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value)
