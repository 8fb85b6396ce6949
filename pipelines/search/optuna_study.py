"""Conversion to Optuna: dimensions become distributions, ended trials become trials of a study."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from schemas.configs.search_space import Dimension, Space

# Jobs report trials themselves.
optuna.logging.set_verbosity(optuna.logging.WARNING)

Ended = Literal["finished", "stopped", "failed"]
STATES: Mapping[Ended, TrialState] = {
    "finished": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's distributions, by dotted path."""
    return {path: _distribution(dimension) for path, dimension in space.items()}


def to_values(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the training config from those that Optuna drew."""
    return {path: _choices(space[path]).get(value, value) for path, value in drawn.items()}


def ended_trial(
    space: Space, parameters: Mapping[str, Any], state: Ended, scores_mm: Mapping[int, float]
) -> FrozenTrial:
    """An ended trial as Optuna has it.

    Args:
        space: The search space.
        parameters: Values by path, each in the space.
        state: How it ended. Stopped trials are `PRUNED`, which Optuna ranks after complete ones.
        scores_mm: Validation error after each epoch, mm; the smallest one is the result of the trial.
    """
    drawn = {path: _label(space[path], parameters[path]) for path in space}
    return optuna.trial.create_trial(
        state=STATES[state],
        value=min(scores_mm.values()) if state == "finished" else None,
        params=drawn,
        distributions=distributions(space),
        intermediate_values=dict(scores_mm),
    )


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
