"""The values of a search's trials: the config's own ones, how many trials there are, and a training with given ones."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pipelines.search.conditions import combinations, in_order, is_active
from schemas.configs.samplers import SAMPLERS
from schemas.configs.search_space import LIFTER, Space
from schemas.configs.train import TrainConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

DEFAULT_TRIALS = 20


def longest_warmup(config: TuneConfig, space: Space) -> int:
    """The most epochs that a trial begins with without unlabeled tracks; 0 if there are no unlabeled tracks."""
    if config.unlabeled is None:
        return 0
    searched = space.get("objective.warmup_epochs")
    own = config.objective.warmup_epochs
    if searched is None:
        return own
    return int(max(*searched.values, own if searched.when else 0))


def trial_count(config: TuneConfig, space: Space, known: int = 0) -> int:
    """Total number of trials: each combination is tried once at most, except in a population, where values change.

    Args:
        config: The search.
        space: What is searched.
        known: Number of combinations that earlier searches have tried.
    """
    count, trials = combinations(space), config.trials or DEFAULT_TRIALS
    if SAMPLERS[config.sampler].is_exhaustive:
        assert count is not None
        return count - known
    return trials if count is None or config.scheduler == "pbt" else min(trials, count - known)


def own_values(config: TuneConfig, space: Space) -> dict[str, Any]:
    """The values that the config itself gives to the fields that it searches beside its other values.

    None where it leaves a plug-in's default.
    """
    values = config.model_dump(mode="json", include=set(TrainConfig.model_fields))
    own: dict[str, Any] = {}
    for path, dimension in in_order(space).items():
        if is_active(dimension, own):
            own[path] = get(values, path)
    return own


def trial_config(config: TuneConfig, parameters: Mapping[str, Any], output: str) -> TrainConfig:
    """The config of a trial's training.

    Args:
        config: The search.
        parameters: Values by dotted path.
        output: Folder (URI) of the trial.

    Raises:
        UserError: The values contradict each other.
    """
    values: dict[str, Any] = training_values(config) | {"output": output}
    values["resources"]["cpus_per_worker"] = config.resources.cpus_per_worker or 1
    set_all(values, parameters)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        shown = ", ".join(f"{path}={value}" for path, value in parameters.items())
        raise UserError(f"{shown}: do not go together: {error.errors()[0]['msg']}") from error


def training_values(config: TuneConfig) -> dict[str, Any]:
    """The nested values of the training that a search repeats, to be changed."""
    values = config.model_dump(include=set(TrainConfig.model_fields))
    return copy.deepcopy(values) | {"metric": config.error_metric}


def set_all(values: dict[str, Any], parameters: Mapping[str, Any]) -> None:
    """Set values by dotted path. A different lifter starts from its own defaults, not the config's options."""
    name = parameters.get(LIFTER)
    if name is not None and str(name) != values["lifter"]["name"]:
        values["lifter"] = {"name": str(name)}
    for path, value in parameters.items():
        _set(values, path, value)


def _set(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[name] = value


def get(values: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None if there is none."""
    value: Any = values
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
