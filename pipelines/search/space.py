"""The search space of a training: which fields may be searched, and the training config for given values."""

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from schemas.configs.search_space import Dimension, Space, read_space
from schemas.configs.train import TrainConfig, TrainingConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfigs, build, paths

DEFAULT_TRIALS = 20

# Fields that no search can vary, and why; a path that ends in a dot stands for all fields below it.
REFUSED = {
    "lifter.name": "one lifter is searched at a time; search its options",
    "resources.": "who computes changes no result",
    "data.validation_subjects": "errors on other people cannot be compared",
    "labeled": "trials differ in settings, not in data",
    "unlabeled": "trials differ in settings, not in data",
    "output": "trials differ in settings, not in data",
}
# Fields that may change while a training runs. Weights, optimizer or sample order depend on all others.
CHANGEABLE = (
    *("optimization.learning_rate", "optimization.learning_rate_decay", "optimization.clip_gradient_norm"),
    *("objective.pose", "objective.trajectory", "objective.reprojection", "objective.bone_length"),
    "objective.confidence_weighted",
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
        space = read_space(config.search_space, _fields(plugins, config.lifter.name))
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
    if mistakes:
        raise UserError("\n".join(mistakes))
    return checked


def trial_count(config: TuneConfig, space: Space) -> int:
    """Total number of trials."""
    if config.sampler == "grid":
        return math.prod(len(grid_values(dimension)) for dimension in space.values())
    return config.trials or DEFAULT_TRIALS


def grid_values(dimension: Dimension) -> tuple[Any, ...]:
    """Every value of a field that has a finite number of them."""
    if dimension.kind == "choice":
        return dimension.values
    assert dimension.kind == "randint"
    return tuple(range(dimension.values[0], dimension.values[1] + 1))


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


def _contradictions(config: TuneConfig) -> Iterator[str]:
    if not config.data.validation_subjects:
        yield (
            "data.validation_subjects=[]: trials are compared by their error on people held out; name labeled subjects "
            "to hold out"
        )
    if config.sampler == "grid" and config.trials is not None:
        yield f"trials={config.trials}: sampler=grid tries each combination once; leave trials out"
    if config.scheduler == "pbt" and config.sampler == "tpe":
        yield (
            "sampler=tpe: scheduler=pbt changes values while trials run, which tpe cannot learn from; "
            "give sampler=random or grid"
        )


def _fields(plugins: PluginConfigs, lifter: str) -> list[str]:
    """Every path of a training config, with the lifter's options and the paths that are refused with a reason."""
    fields = [path for path, _ in paths(TrainingConfig) if path != "lifter"]
    options = [path for path, _ in paths(plugins("lifters", lifter), "lifter.")]
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
        value = value[name]
    return value
