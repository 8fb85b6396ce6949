"""Conversion to Optuna: dimensions become distributions, ended trials become trials of a study."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from schemas.configs.search_space import Dimension, Space

# Jobs report trials themselves.
optuna.logging.set_verbosity(optuna.logging.WARNING)

# The name of Optuna's constraint that values violate with which no training is possible.
TRAINABLE = "trainable"


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Attributes:
        state: `finished` after its last epoch, `stopped` by the scheduler, `infeasible` because of its own values (such
            as a network too large for the memory), or `failed` for a reason that says nothing about its values.
        scores_mm: Validation error after each epoch that counts, mm; the smallest one is the result of the trial.
    """

    state: Literal["finished", "stopped", "infeasible", "failed"]
    scores_mm: Mapping[int, float] = field(default_factory=dict)

    @property
    def optuna_state(self) -> TrialState:
        """How Optuna calls it. It ranks `PRUNED` trials after complete ones, and learns nothing from failed ones."""
        if self.state == "finished":
            return TrialState.COMPLETE
        return TrialState.FAIL if self.state == "failed" else TrialState.PRUNED

    @property
    def value(self) -> float | None:
        """The result; None unless it is finished."""
        return min(self.scores_mm.values()) if self.state == "finished" else None


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's distributions, by dotted path."""
    return {path: _distribution(dimension) for path, dimension in space.items()}


def to_values(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the training config from those that Optuna drew."""
    return {path: _choices(space[path]).get(value, value) for path, value in drawn.items()}


def labels(space: Space, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Values as Optuna has them, which takes no lists."""
    return {path: _label(space[path], parameters[path]) for path in space}


def ended_trial(space: Space, parameters: Mapping[str, Any], ending: Ending) -> FrozenTrial:
    """An ended trial as Optuna has it.

    Args:
        space: The search space.
        parameters: Values by path, each in the space.
        ending: How it ended.
    """
    trial = optuna.trial.create_trial(
        state=ending.optuna_state,
        value=ending.value,
        params=labels(space, parameters),
        distributions=distributions(space),
        intermediate_values=dict(ending.scores_mm),
    )
    if ending.state == "infeasible":
        trial.set_constraint(TRAINABLE, 1.0)
    return trial


def end_trial(study: optuna.Study, trial: optuna.trial.Trial, ending: Ending) -> None:
    """End a trial that a study has proposed."""
    for epoch, score_mm in ending.scores_mm.items():
        trial.report(score_mm, epoch)
    if ending.state == "infeasible":
        trial.set_constraint(TRAINABLE, 1.0)
    study.tell(trial, ending.value, state=ending.optuna_state)


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.kind == "choice":
        return CategoricalDistribution(list(_choices(dimension)))
    low, high = dimension.values
    if dimension.kind == "randint":
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=dimension.kind == "loguniform")


def _choices(dimension: Dimension) -> dict[Any, Any]:
    """Choices by the labels that Optuna gets, because it takes no lists."""
    return {_label(dimension, value): value for value in dimension.values} if dimension.kind == "choice" else {}


def _label(dimension: Dimension, value: Any) -> Any:
    if dimension.kind != "choice" or value is None or isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value)
