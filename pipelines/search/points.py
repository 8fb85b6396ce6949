"""Points: values that a search tries before its sampler proposes others."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from pipelines.io import storage
from pipelines.search.conditions import active_values, missing, outside
from pipelines.search.trial_values import own_values
from schemas.configs.search_space import Dimension, Space
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.job_config import flatten
from schemas.mistakes import as_typed
from schemas.plain_yaml import load_plain


def read_points(config: TuneConfig, space: Space) -> list[dict[str, Any]]:
    """The points of a search, each with a value for every searched field.

    Args:
        config: The search.
        space: What is searched.

    Raises:
        UserError: The file cannot be read, or points lie outside the space; a line for each mistake.
    """
    given = _read(config.points) if isinstance(config.points, str) else config.points or ()
    own = own_values(config, space)
    points: list[dict[str, Any]] = []
    mistakes: list[str] = []
    for number, point in enumerate(given, start=1):
        values = _in_one_level(point, space)
        wrong = [f"{path} is given twice; give it once" for path in _twice(point)]
        wrong += _mistakes(values, own, space)
        mistakes += [f"points: point {number}: {mistake}" for mistake in wrong]
        completed = {path: values.get(path, own.get(path)) for path in space if path in values or path in own}
        points.append({path: _typed(space[path], value) for path, value in active_values(space, completed).items()})
    if mistakes:
        raise UserError("\n".join(mistakes))
    return points


def _read(uri: str) -> list[Mapping[str, Any]]:
    try:
        points = load_plain(storage.read_bytes(uri))
    except OSError as error:
        raise UserError(
            f"points={uri}: cannot be read: {error.strerror or error}; give a YAML file or a list"
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"points={uri}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(points, list) or not all(isinstance(point, Mapping) for point in points):
        raise UserError(f"points={uri}: holds no YAML list of points; give one, such as [{{lifter.channels: 64}}]")
    return points


def _in_one_level(point: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Values by dotted path, whether paths are written nested or dotted."""
    return {path: _typed(space[path], value) if path in space else value for path, value in flatten(point).items()}


def _twice(point: Mapping[str, Any]) -> list[str]:
    """The paths that a point gives both nested and dotted."""
    counts = Counter(path for name, value in point.items() for path in flatten({name: value}))
    return [path for path, count in counts.items() if count > 1]


def _typed(dimension: Dimension, value: Any) -> Any:
    """The value as the search space has it: YAML 1.1 reads 1e-4 as a text, because it has no decimal point."""
    if dimension.kind == "choice" and value in dimension.values:
        return next(choice for choice in dimension.values if choice == value)
    if isinstance(value, bool) or (dimension.is_whole and isinstance(value, int)):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return value
    if dimension.kind == "choice":
        numbers = (choice for choice in dimension.values if type(choice) in (int, float))
        return next((choice for choice in numbers if choice == number), value)
    return int(number) if dimension.is_whole and number.is_integer() else number


def _mistakes(values: Mapping[str, Any], own: Mapping[str, Any], space: Space) -> Iterator[str]:
    for path, value in values.items():
        if path not in space:
            yield f"{path} is not searched; searched are {', '.join(space)}"
        elif outside(space, {path: value}):
            (kind, bounds), *_ = space[path].document().items()
            yield f"{path}={as_typed(value)} lies outside the search space, {kind} {bounds}"
    known = {**own, **{path: value for path, value in values.items() if path in space}}
    active = active_values(space, known)
    for path in values.keys() & space.keys() - active.keys():
        when = " and ".join(f"{other}={shown[0]}" for other, shown in space[path].when.items())
        yield f"{path} is searched only beside {when}; leave it out, or give both"
    for path in outside(space, {path: value for path, value in active.items() if path not in values}):
        yield f"gives no {path}, and the config's own value, {own[path]}, lies outside the search space; give one"
    for path in missing(space, active):
        yield f"gives no {path}, of which the config has no value of its own; give one"
