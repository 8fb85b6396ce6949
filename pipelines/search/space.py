"""The search space of a training: which fields may be searched, and with which values."""

import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pipelines.search.conditions import combinations, in_order
from pipelines.search.trial_values import get, longest_warmup, set_all, training_values
from schemas.configs.samplers import SAMPLERS, SamplerKind
from schemas.configs.search_metrics import METRIC_NAMES, read_limits
from schemas.configs.search_space import LIFTER, Dimension, Space, flatten_space, read_space
from schemas.configs.train import TrainConfig, TrainingConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfigs, build, paths, plugin_paths

# A grid may have at most this many combinations, because all are tried, and each takes seconds at least.
MOST_COMBINATIONS = 10_000

# Fields that no search can vary, and the reasons; a path that ends in a dot stands for all fields below it.
REFUSED = {
    "resources.": "who computes changes no result",
    "data.validation_subjects": "errors on other people cannot be compared",
    "data.actions": "errors on other actions cannot be compared",
    "data.fps": "errors on other frames cannot be compared",
    "data.downsample": "errors on other frames cannot be compared",
    "metric": "errors of different kinds cannot be compared",
    "labeled": "trials differ in settings, not in data",
    "unlabeled": "trials differ in settings, not in data",
    "output": "trials differ in settings, not in data",
    "run_name": "the run of a trial is called by its number",
}
# Only these fields may change while a training runs; weights, optimizer or sample order depend on all others.
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
        UserError: The space is wrong; the message has a line for each mistake.
    """
    mistakes = list(_contradictions(config))
    options = _lifter_options(config, plugins)
    try:
        space = read_space(config.search_space, _fields(options))
        ordered = in_order(space)
    except UserError as error:
        raise UserError("\n".join([*mistakes, str(error)])) from error
    checked: dict[str, Dimension] = {}
    for path, dimension in ordered.items():
        try:
            _require_searchable(config, path, dimension)
            dimension = _with_conditions(config, path, dimension, checked, plugins)
            _require_option(path, dimension, checked, options)
            checked[path] = _checked(config, path, dimension, checked, plugins)
        except UserError as error:
            mistakes.append(str(error))
    mistakes += _impossible(config, checked)
    if mistakes:
        raise UserError("\n".join(mistakes))
    return {path: checked[path] for path in space}


def _impossible(config: TuneConfig, space: Space) -> Iterator[str]:
    """The demands of a space that the sampler or the scheduler cannot meet."""
    sampler, count = SAMPLERS[config.sampler], combinations(space)
    if sampler.is_exhaustive and count is not None and count > MOST_COMBINATIONS:
        yield (
            f"sampler={config.sampler}: the search space has {count:,} combinations, all of which would be tried; at "
            f"most {MOST_COMBINATIONS:,} can be: give fewer values, or another sampler"
        )
    numbers = sum(dimension.kind != "choice" and not dimension.when for dimension in space.values())
    if space and numbers < sampler.fewest_numbers:
        yield (
            f"sampler={config.sampler}: takes at least {sampler.fewest_numbers} searched numbers that every trial has, "
            f"the search space has {numbers}; give another sampler, such as tpe"
        )
    warmup, grace, epochs = longest_warmup(config, space), config.grace_epochs, config.optimization.epochs
    if config.scheduler == "hyperband":
        options = config.hyperband
        most = 1 + int(math.log(max(1.0, epochs / options.grace_epochs), options.reduction))
        if options.brackets > most:
            yield (
                f"hyperband.brackets={options.brackets}: {epochs} epochs have room for {most} with "
                f"hyperband.grace_epochs={options.grace_epochs} and hyperband.reduction={options.reduction:g}; give "
                "fewer, or more epochs"
            )
    if grace is not None and grace <= warmup < epochs:
        yield (
            f"{config.scheduler}.grace_epochs={grace}: trials cannot be compared before their first epoch with "
            f"unlabeled tracks, which follows a warm-up of up to {warmup} epochs; give more than {warmup}"
        )


def _contradictions(config: TuneConfig) -> Iterator[str]:
    if not config.data.validation_subjects:
        yield (
            "data.validation_subjects=[]: trials are compared by their error on people held out; name labeled subjects "
            "to hold out"
        )
    sampler = SAMPLERS[config.sampler]
    if sampler.is_exhaustive and config.trials is not None:
        yield f"trials={config.trials}: sampler={config.sampler} tries each combination once; leave trials out"
    if not isinstance(config.metric, str):
        yield from _of_fronts(config, sampler)
    if unknown := [limit.text for limit in read_limits(config.constraints) if limit.metric not in METRIC_NAMES]:
        yield f"constraints: {unknown[0]}: there is no such metric; metrics: {', '.join(METRIC_NAMES)}"
    if config.repeat_best and config.scheduler == "pbt":
        yield (
            f"repeat_best={config.repeat_best}: scheduler=pbt changes values while trials run, so that there is "
            "nothing to repeat; leave it out"
        )
    if config.repeat_best and "optimization.seed" in flatten_space(config.search_space):
        yield f"repeat_best={config.repeat_best}: repeats trials with other seeds; do not search optimization.seed"
    if config.scheduler == "pbt" and sampler.learns:
        others = " or ".join(name for name, kind in SAMPLERS.items() if not kind.learns)
        yield (
            f"sampler={config.sampler}: scheduler=pbt changes values while trials run, which {config.sampler} cannot "
            f"learn from; give sampler={others}"
        )


def _of_fronts(config: TuneConfig, sampler: SamplerKind) -> Iterator[str]:
    """The settings that do not work with several metrics."""
    metrics = f"metric=[{', '.join(config.metrics)}]"
    if config.scheduler != "none":
        yield f"{metrics}: scheduler={config.scheduler} compares trials by one metric alone; give scheduler=none"
    if not sampler.finds_fronts:
        yield f"{metrics}: sampler={config.sampler} learns from one metric alone; give another, such as tpe or nsga2"
    if config.repeat_best:
        yield f"repeat_best={config.repeat_best}: {metrics} has no single best to be repeated; leave it out"


def _lifter_options(config: TuneConfig, plugins: PluginConfigs) -> dict[str, list[str]]:
    """The paths of the options of each lifter that a search may choose, by its name."""
    lifter_space = flatten_space(config.search_space).get(LIFTER)
    chosen = lifter_space.get("choice", ()) if isinstance(lifter_space, Mapping) else ()
    paths_by_lifter: dict[str, list[str]] = {}
    for lifter in [config.lifter.model_dump(), *({"name": str(name)} for name in chosen)]:
        with suppress(UserError):  # names that no lifter has are reported where the choices are checked
            paths_by_lifter.setdefault(lifter["name"], list(plugin_paths(plugins, "lifters", lifter, "lifter.")))
    return paths_by_lifter


def _fields(options: Mapping[str, list[str]]) -> list[str]:
    """Every path of a training config, with the lifters' options and the paths that are refused with a reason."""
    fields = [path for path, _ in paths(TrainingConfig) if path != "lifter"]
    lifters = dict.fromkeys(itertools.chain.from_iterable(options.values()))
    return [*lifters, LIFTER, *fields, *(path for path in REFUSED if not path.endswith("."))]


def _require_searchable(config: TuneConfig, path: str, dimension: Dimension) -> None:
    if (reason := _refusal(config, path, dimension)) is not None:
        raise UserError(f"search_space.{path}: cannot be searched: {reason}")


def _refusal(config: TuneConfig, path: str, dimension: Dimension) -> str | None:
    for refused, reason in REFUSED.items():
        if path == refused or (refused.endswith(".") and path.startswith(refused)):
            return reason
    if path == "optimization.epochs" and config.scheduler != "none":
        return f"scheduler={config.scheduler} compares trials epoch by epoch; give scheduler=none to search it"
    if config.scheduler == "pbt" and dimension.when:
        return "scheduler=pbt changes values while trials run, so that none may depend on another; leave when out"
    if config.scheduler == "pbt" and path not in CHANGEABLE:
        if path.startswith("lifter."):
            return "scheduler=pbt hands the weights of one trial to another, so all have the same network"
        return f"it is fixed once a training has begun; scheduler=pbt changes {', '.join(CHANGEABLE)}"
    if SAMPLERS[config.sampler].is_exhaustive and dimension.size is None:
        name, kind = config.sampler, dimension.kind
        return f"sampler={name} needs a finite number of values, {kind} has none; give choice, randint or a step"
    return None


def _with_conditions(
    config: TuneConfig, path: str, dimension: Dimension, space: Space, plugins: PluginConfigs
) -> Dimension:
    """The dimension with its conditions as the fields that it depends on have their values."""
    when: dict[str, tuple[Any, ...]] = {}
    for other, values in dimension.when.items():
        if other not in space:
            raise UserError(f"search_space.{path}: when: {other} is not searched; search it, or leave when out")
        if space[other].kind != "choice":
            raise UserError(f"search_space.{path}: when: {other} is a {space[other].kind}; only choices can be named")
        when[other] = tuple(_tried(config, other, value, plugins) for value in values)
        if never := [value for value in when[other] if not space[other].contains(value)]:
            choices = ", ".join(map(str, space[other].values))
            raise UserError(f"search_space.{path}: when: {other} is never {never[0]}; its choices: {choices}")
    return replace(dimension, when=when)


def _require_option(path: str, dimension: Dimension, space: Space, options: Mapping[str, list[str]]) -> None:
    """Refuse an option that some lifter lacks with which it would be searched."""
    if LIFTER not in space or path == LIFTER or not path.startswith("lifter."):
        return
    lacking = [name for name in dimension.when.get(LIFTER, space[LIFTER].values) if path not in options[name]]
    if lacking:
        having = ", ".join(name for name in space[LIFTER].values if path in options[name])
        raise UserError(
            f"search_space.{path}: {lacking[0]} has no such option; give when: {{{LIFTER}: [{having}]}} beside it"
        )


def _checked(config: TuneConfig, path: str, dimension: Dimension, space: Space, plugins: PluginConfigs) -> Dimension:
    """The dimension with its values as the training config validates them."""
    taken: list[Any] = []
    mistakes: dict[str, None] = {}
    for beside in _cases(dimension, space, path):
        taken.clear()
        for value in dimension.values:
            try:
                taken.append(_tried(config, path, value, plugins, beside))
            except UserError as error:
                mistakes[str(error)] = None
        if not mistakes and dimension.kind in ("uniform", "loguniform"):
            # An integer field accepts both bounds if they are whole numbers; a value between them shows that the field
            # is one.
            low, high = dimension.values
            _tried(config, path, low + (high - low) / math.pi, plugins, beside)
    if mistakes:
        raise UserError("\n".join(mistakes))
    if dimension.kind != "choice":
        return dimension
    for number, value in enumerate(taken):
        if value in taken[:number]:
            raise UserError(f"search_space.{path}: choice has the same value twice, {value}; give it once")
    return replace(dimension, values=tuple(taken))


def _cases(dimension: Dimension, space: Space, path: str) -> Iterator[dict[str, Any]]:
    """Values of other fields to try a dimension with: one case for every lifter that it may belong to."""
    others = {other: values[0] for other, values in dimension.when.items()}
    if LIFTER in space and path.startswith("lifter."):
        yield from (others | {LIFTER: name} for name in dimension.when.get(LIFTER, space[LIFTER].values))
    else:
        yield others


def _tried(
    config: TuneConfig, path: str, value: Any, plugins: PluginConfigs, beside: Mapping[str, Any] | None = None
) -> Any:
    """The value as the training config validates it, beside those of fields that it depends on."""
    values = training_values(config) | {"output": config.output}
    set_all(values, {**(beside or {}), path: value})
    try:
        built = build(TrainConfig, values, plugins)
    except UserError as error:
        raise UserError("\n".join(f"search_space.{line}" for line in str(error).splitlines())) from error
    return get(built.model_dump(mode="json"), path)
