"""What the trials of a search are compared by: errors on held-out people, and what a lifter costs."""

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from schemas.configs.train import ERROR_NAMES, ErrorMetric
from schemas.text_form import TextForm

Cost = Literal["parameters", "lift_frames_per_s"]
"""Properties of a lifter that follow from its architecture."""
METRIC_NAMES: Mapping[str, str] = {
    **ERROR_NAMES,
    "parameters": "parameters",
    "lift_frames_per_s": "frames lifted per second",
}
# For every other metric, smaller is better.
LARGER_IS_BETTER = frozenset({"lift_frames_per_s"})


def _check_metrics(given: object) -> object:
    """Refuse metrics that cannot be compared, before Pydantic says of each kind of value why it does not fit."""
    names = [str(name) for name in given] if isinstance(given, list | tuple) else [str(given)]
    if unknown := [name for name in names if name not in METRIC_NAMES]:
        raise ValueError(f"there is no metric {unknown[0]}; metrics: {', '.join(METRIC_NAMES)}")
    if isinstance(given, list | tuple) and not 2 <= len(set(names)) == len(names) <= 3:
        raise ValueError("takes two or three different metrics, or a single one without brackets")
    if not ERROR_NAMES.keys() & set(names):
        raise ValueError("an error must be among them, which chooses the best epoch, such as mpjpe_mm")
    return given


Metrics = Annotated[ErrorMetric | tuple[ErrorMetric | Cost, ...], BeforeValidator(_check_metrics)]
"""One error, or several metrics among which there is no single best."""
_LIMIT = re.compile(r"(\w+)\s*(<=|>=)\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?)")
Constraint = Annotated[
    str, AfterValidator(TextForm(_LIMIT.pattern, "a metric, <= or >=, and a number, such as parameters<=5e6"))
]
"""A metric, <= or >=, and a number."""


@dataclass(frozen=True)
class Limit:
    """A constraint that has been read.

    Attributes:
        text: As it was given.
        metric: Name of the metric.
        is_upper: Whether the metric may be at most `bound`; otherwise it has to be at least that.
        bound: The bound.
    """

    text: str
    metric: str
    is_upper: bool
    bound: float

    def excess(self, values: Mapping[str, float]) -> float:
        """How far a trial's value lies beyond the bound; not above 0 if it keeps to it."""
        beyond = values[self.metric] - self.bound
        return beyond if self.is_upper else -beyond


def read_limits(constraints: Iterable[str]) -> list[Limit]:
    """Constraints, read."""
    matches = [(text, _LIMIT.fullmatch(text)) for text in constraints]
    return [Limit(text, m[1], m[2] == "<=", float(m[3])) for text, m in matches if m is not None]


def dominates(first: Mapping[str, float], second: Mapping[str, float], metrics: Iterable[str]) -> bool:
    """Whether the first is better in some metric and worse in none."""
    pairs = [
        (first[name], second[name]) if name in LARGER_IS_BETTER else (-first[name], -second[name]) for name in metrics
    ]
    return all(operator.ge(*pair) for pair in pairs) and any(operator.gt(*pair) for pair in pairs)
