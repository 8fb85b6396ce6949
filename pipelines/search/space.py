"""The search space of a training: which fields may be searched, and the training config for given values."""

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from schemas.configs.search_space import Dimension, Space, flatten_space, read_space
from schemas.configs.train import TrainConfig, TrainingConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfig, PluginConfigs, build, paths, plugin_paths

DEFAULT_TRIALS = 20
# All combinations of a grid are tried, and each one takes seconds at least.
MOST_COMBINATIONS = 10_000

# Fields that no search can vary, and why; a path that ends in a dot stands for all fields below it.
REFUSED = {
    "lifter.name": "one lifter is searched at a time; search its options",
    "resources.": "who computes changes no result",
    "data.validation_subjects": "errors on other people cannot be compared",
    "data.actions": "errors on other actions cannot be compared",
    "data.fps": "errors on other frames cannot be compared",
    "data.downsample": "errors on other frames cannot be compared",
    "metric": "errors of different kinds cannot be compared",
    "labeled": "trials differ in settings, not in data",
    "unlabeled": "trials differ in settings, not in data",
    "output": "trials differ in settings, not in data",
}
# Fields that may change while a training runs. Weights, optimizer or sample order depend on all others.
CHANGEABLE = (
    *("optimization.learning_rate", "optimization.learning_rate_decay", "optimization.clip_gradient_norm"),
    *("objective.pose", "objective.scale_free", "objective.velocity", "objective.trajectory"),
    *("objective.reprojection", "objective.bone_length", "objective.confidence_weighted"),
)


def search_space(config: TuneConfig, plugins: PluginConfigs) -> dict[str, Dimension]:
    """The search space of a config, checked against the training config.

    Args:
        config: The job.
        plugins: Returns the config class of a plug-in's options.

    Raises:
        UserError: A line for each mistake, all of them.
    """
    mistakes = list(_contradictions(config))
    try:
        space = read_space(config.search_space, _fields(plugins, config.lifter))
    except UserError as error:
        raise UserError("\n".join([*mistakes, str(error)])) from error
    checked: dict[str, Dimension] = {}
    for path, dimension in space.items():
        reason = _refusal(config, path, dimension)
        if reason is not None:
            mistakes.append(f"search_space.{path}: cannot be searched: {reason}")
            continue
        try:
            checked[path] = _checked(config, path, dimension, plugins)
        except UserError as error:
            mistakes.append(str(error))
    count = combinations(checked)
    if config.sampler == "grid" and count is not None and count > MOST_COMBINATIONS:
        mistakes.append(
            f"sampler=grid: the search space has {count:,} combinations, all of which would be tried; at most "
            f"{MOST_COMBINATIONS:,} can be: give fewer values, or another sampler"
        )
    warmup = longest_warmup(config, checked)
    if config.scheduler == "asha" and config.asha.grace_epochs <= warmup < config.optimization.epochs:
        mistakes.append(
            f"asha.grace_epochs={config.asha.grace_epochs}: trials cannot be compared before their first epoch with "
            f"unlabeled tracks, which follows a warm-up of up to {warmup} epochs; give more than {warmup}"
        )
    if mistakes:
        raise UserError("\n".join(mistakes))
    return checked


def longest_warmup(config: TuneConfig, space: Space) -> int:
    """The most epochs that a trial begins with without unlabeled tracks; 0 if there are no unlabeled tracks."""
    if config.unlabeled is None:
        return 0
    searched = space.get("objective.warmup_epochs")
    return int(max(searched.values)) if searched else config.objective.warmup_epochs


def trial_count(config: TuneConfig, space: Space, known: int = 0) -> int:
    """Total number of trials: each combination is tried once at most, except in a population, where values change.

    Args:
        config: The search.
        space: What is searched.
        known: Number of combinations that earlier searches have tried.
    """
    count, trials = combinations(space), config.trials or DEFAULT_TRIALS
    if config.sampler == "grid":
        assert count is not None
        return count - known
    return trials if count is None or config.scheduler == "pbt" else min(trials, count - known)


def combinations(space: Space) -> int | None:
    """Number of combinations of values; None if a field has infinitely many."""
    sizes = [_size(dimension) for dimension in space.values()]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def own_values(config: TuneConfig, space: Space) -> dict[str, Any]:
    """The values that the config itself gives to the searched fields; None where it leaves a plug-in's default."""
    values = config.model_dump(mode="json", include=set(TrainConfig.model_fields))
    return {path: _get(values, path) for path in space}


def outside(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some values that the search space does not contain."""
    return {path: value for path, value in values.items() if not _contains(space[path], value)}


def trial_config(config: TuneConfig, parameters: Mapping[str, Any], output: str) -> TrainConfig:
    """The config of a trial's training.

    Args:
        config: The search.
        parameters: Values by dotted path.
        output: Folder (URI) of the trial.

    Raises:
        UserError: The values do not go together.
    """
    values: dict[str, Any] = _training_values(config) | {"output": output}
    values["resources"]["cpus_per_worker"] = config.resources.cpus_per_worker or 1
    for path, value in parameters.items():
        _set(values, path, value)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        shown = ", ".join(f"{path}={value}" for path, value in parameters.items())
        raise UserError(f"{shown}: do not go together: {error.errors()[0]['msg']}") from error


def _size(dimension: Dimension) -> int | None:
    if dimension.kind == "choice":
        return len(dimension.values)
    low, high = dimension.values
    return high - low + 1 if dimension.kind == "randint" else None


def _contains(dimension: Dimension, value: Any) -> bool:
    if dimension.kind == "choice":
        return value in dimension.values
    low, high = dimension.values
    return isinstance(value, int | float) and low <= value <= high


def _contradictions(config: TuneConfig) -> Iterator[str]:
    if not config.data.validation_subjects:
        yield (
            "data.validation_subjects=[]: trials are compared by their error on people held out; name labeled subjects "
            "to hold out"
        )
    if config.sampler == "grid" and config.trials is not None:
        yield f"trials={config.trials}: sampler=grid tries each combination once; leave trials out"
    if config.repeat_best and config.scheduler == "pbt":
        yield (
            f"repeat_best={config.repeat_best}: scheduler=pbt changes values while trials run, so that there is "
            "nothing to repeat; leave it out"
        )
    if config.repeat_best and "optimization.seed" in flatten_space(config.search_space):
        yield f"repeat_best={config.repeat_best}: repeats trials with other seeds; do not search optimization.seed"
    if config.scheduler == "pbt" and config.sampler == "tpe":
        yield (
            "sampler=tpe: scheduler=pbt changes values while trials run, which tpe cannot learn from; "
            "give sampler=random or grid"
        )


def _fields(plugins: PluginConfigs, lifter: PluginConfig) -> list[str]:
    """Every path of a training config, with the lifter's options and the paths that are refused with a reason."""
    fields = [path for path, _ in paths(TrainingConfig) if path != "lifter"]
    options = plugin_paths(plugins, "lifters", lifter.model_dump(), "lifter.")
    return [*options, *fields, *(path for path in REFUSED if not path.endswith("."))]


def _refusal(config: TuneConfig, path: str, dimension: Dimension) -> str | None:
    for refused, reason in REFUSED.items():
        if path == refused or (refused.endswith(".") and path.startswith(refused)):
            return reason
    if path == "optimization.epochs" and config.scheduler != "none":
        return f"scheduler={config.scheduler} compares trials epoch by epoch; give scheduler=none to search it"
    if config.scheduler == "pbt" and path not in CHANGEABLE:
        if path.startswith("lifter."):
            return "scheduler=pbt hands the weights of one trial to another, so all have the same network"
        return f"it is fixed once a training has begun; scheduler=pbt changes {', '.join(CHANGEABLE)}"
    if config.sampler == "grid" and dimension.kind in ("uniform", "loguniform"):
        return f"sampler=grid needs a finite number of values, {dimension.kind} has none; give choice or randint"
    return None


def _checked(config: TuneConfig, path: str, dimension: Dimension, plugins: PluginConfigs) -> Dimension:
    """The dimension with its values as the training config validates them."""
    taken, mistakes = [], []
    for value in dimension.values:
        try:
            taken.append(_tried(config, path, value, plugins))
        except UserError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UserError("\n".join(mistakes))
    if dimension.kind in ("uniform", "loguniform"):
        # Both bounds may be whole numbers that an integer field takes; a value between them shows that it is one.
        low, high = dimension.values
        _tried(config, path, low + (high - low) / math.pi, plugins)
    for number, value in enumerate(taken):
        if dimension.kind == "choice" and value in taken[:number]:
            raise UserError(f"search_space.{path}: choice has the same value twice, {value}; give it once")
    return Dimension("choice", tuple(taken)) if dimension.kind == "choice" else dimension


def _tried(config: TuneConfig, path: str, value: Any, plugins: PluginConfigs) -> Any:
    """The value as the training config validates it."""
    values = _training_values(config) | {"output": config.output}
    _set(values, path, value)
    try:
        built = build(TrainConfig, values, plugins)
    except UserError as error:
        raise UserError("\n".join(f"search_space.{line}" for line in str(error).splitlines())) from error
    return _get(built.model_dump(mode="json"), path)


def _training_values(config: TuneConfig) -> dict[str, Any]:
    values = config.model_dump(include=set(TrainConfig.model_fields))
    return copy.deepcopy(values)


def _set(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[name] = value


def _get(values: Mapping[str, Any], path: str) -> Any:
    value: Any = values
    for name in path.split("."):
        value = value.get(name)
    return value
