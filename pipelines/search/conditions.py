"""Dimensions that are searched only where others have certain values: which are active, and how many combinations."""

import itertools
import math
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from schemas.configs.search_space import Dimension, Space
from schemas.errors import UserError


def in_order(space: Space) -> dict[str, Dimension]:
    """The dimensions, each after those that it depends on, otherwise by name.

    Raises:
        UserError: Some dimensions depend on each other in a circle.
    """
    waiting = TopologicalSorter({path: space[path].when.keys() & space.keys() for path in sorted(space)})
    ordered: dict[str, Dimension] = {}
    try:
        waiting.prepare()
    except CycleError as error:
        raise UserError(f"search_space: when: {' needs '.join(error.args[1])}: fields need each other") from error
    while waiting.is_active():
        ready = sorted(waiting.get_ready())
        ordered |= {path: space[path] for path in ready}
        waiting.done(*ready)
    return ordered


def is_active(dimension: Dimension, values: Mapping[str, Any]) -> bool:
    """Whether a dimension is searched beside these values of the ones that it depends on."""
    return all(path in values and values[path] in allowed for path, allowed in dimension.when.items())


def active_values(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values whose dimensions are searched, given the others."""
    active: dict[str, Any] = {}
    for path, dimension in in_order(space).items():
        if path in values and is_active(dimension, active):
            active[path] = values[path]
    return active


def missing(space: Space, values: Mapping[str, Any]) -> list[str]:
    """The fields that are searched beside some values and are not among them."""
    return [path for path, dimension in space.items() if path not in values and is_active(dimension, values)]


def outside(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the search space does not contain."""
    return {path: value for path, value in values.items() if not space[path].contains(value)}


def combinations(space: Space) -> int | None:
    """Number of combinations of values; None if a field has infinitely many."""
    deciding = sorted({path for dimension in space.values() for path in dimension.when})
    choices = (space[path].values for path in deciding)
    # Values of fields that are not searched beside the others make no difference, so such cases count once.
    cases = {
        repr(case): case
        for values in itertools.product(*choices)
        for case in [active_values({path: space[path] for path in deciding}, dict(zip(deciding, values, strict=True)))]
    }
    total = 0
    for case in cases.values():
        others = [d for path, d in space.items() if path not in deciding and is_active(d, case)]
        sizes = [dimension.size for dimension in others]
        if None in sizes:
            return None
        total += math.prod(size for size in sizes if size is not None)
    return total
