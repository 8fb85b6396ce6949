"""The search space of the tune job: a config field's dotted path, mapped to the values to try.

Recipes write it as `optimization.learning_rate: {loguniform: [1e-4, 1e-2]}`; `read_space` checks and parses it. A
`step` makes a range discrete, and `when: {lifter.name: supermask}` searches a field only where another one has a value.
"""

import difflib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from schemas.errors import UserError
from schemas.job_config import flatten
from schemas.mistakes import as_typed
from schemas.typed_text import Typed, structure

Kind = Literal["uniform", "loguniform", "randint", "lograndint", "choice"]
KINDS: tuple[Kind, ...] = ("uniform", "loguniform", "randint", "lograndint", "choice")
# The field that chooses between lifters; the options of each are fields too.
LIFTER = "lifter.name"
# Other keys that a dimension may have beside its kind.
STEP, WHEN = "step", "when"
# A number may lie this far beside a step, as a share of the step, because decimal fractions are not exact.
_ROUNDING = 1e-8
# Decimals of double precision tell no more neighbouring values apart.
_MOST_STEPS = 2**53


@dataclass(frozen=True)
class Dimension:
    """The values that one field may take in a search.

    Attributes:
        kind: uniform and loguniform are numbers between two bounds, randint and lograndint whole numbers (both ends
            included); with log, small ones are as frequent as large ones. choice is one of its values.
        values: The lowest and the highest value, or the choices.
        step: Distance of neighbouring values from the lowest one on; None for any number between the bounds.
        when: The field is searched only where these other searched fields have one of the given values.
    """

    kind: Kind
    values: tuple[Any, ...]
    step: float | None = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return self.kind in ("randint", "lograndint")

    @property
    def is_log(self) -> bool:
        """Whether small values are as frequent as large ones."""
        return self.kind in ("loguniform", "lograndint")

    @property
    def size(self) -> int | None:
        """Number of its values; None if there are infinitely many."""
        if self.kind == "choice":
            return len(self.values)
        low, high = self.values
        step = self.step or (1 if self.is_whole else None)
        return None if step is None else math.floor((high - low) / step + _ROUNDING) + 1

    def contains(self, value: Any) -> bool:
        """Whether it is one of its values."""
        if self.kind == "choice":
            return value in self.values
        low, high = self.values
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            return False
        if self.is_whole and value != int(value):
            return False
        steps = 0.0 if self.step is None else (value - low) / self.step
        return abs(steps - round(steps)) < _ROUNDING

    def document(self) -> dict[str, Any]:
        """The form in which recipes write it."""
        step = {} if self.step is None else {STEP: self.step}
        when = {WHEN: {path: list(values) for path, values in self.when.items()}} if self.when else {}
        return {self.kind: list(self.values), **step, **when}


Space = Mapping[str, Dimension]
_FORM = "give a kind with its values, such as {uniform: [low, high]} or {choice: [a, b]}"


def read_space(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Dimension]:
    """Parse a search space.

    Args:
        values: Dotted path mapped to `{kind: values}`; the path may also be nested.
        known: Every path that can be searched.

    Raises:
        UserError: Unknown paths or kinds, or wrong bounds; one line for each mistake.
    """
    space: dict[str, Dimension] = {}
    mistakes: list[str] = []
    for path, value in flatten_space(values).items():
        parent = path.rpartition(".")[0]
        if path not in known and parent in known:  # as in learning_rate: {low: 1, high: 2}
            line = f"search_space.{parent}: {_FORM}; kinds: {', '.join(KINDS)}"
            mistakes += [] if line in mistakes else [line]
            continue
        try:
            if path not in known:
                raise UserError(f"there is no such field to search{_nearest(path, known)}")
            space[path] = read_dimension(value)
        except UserError as error:
            mistakes.append(f"search_space.{path}={as_typed(value)}: {error}")
    if not space and not mistakes:
        mistakes.append("search_space: names nothing to search; give e.g. search_space.optimization.learning_rate=…")
    if mistakes:
        raise UserError("\n".join(mistakes))
    return space


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Short names for tables: the last part of each path, or the whole path where two end alike."""
    ends = {path: path.rpartition(".")[2] for path in paths}
    counts = Counter(ends.values())
    return {path: end if counts[end] == 1 else path for path, end in ends.items()}


def flatten_space(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a search space gives for each dotted path, whether it writes paths nested, dotted, or both.

    Raises:
        UserError: A path is given twice.
    """
    flat: dict[str, Any] = {}
    for path, value in _entries(values, ""):
        if path in flat:
            raise UserError(f"search_space.{path}: is given twice; give it once")
        flat[path] = value
    return flat


def merge_spaces(space: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A search space with the dimensions of another one, such as the command line's, in place of or beside its own.

    Args:
        space: By dotted path.
        more: By dotted or nested path; null drops a dimension.

    Raises:
        UserError: A path is given twice, or there is no such dimension to drop.
    """
    merged = dict(space)
    for path, value in flatten_space(more).items():
        if value is not None:
            merged[path] = value
        elif merged.pop(path, None) is None:
            raise UserError(f"search_space.{path}=null: it is not searched{_nearest(path, space)}")
    return merged


def _entries(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield each path with its value. Mappings with kinds or lists in them are dimensions, others hold longer paths."""
    for name, typed in values.items():
        path, value = f"{prefix}{name}", _read(typed)
        is_dimension = isinstance(value, Mapping) and (
            bool(value.keys() & set(KINDS)) or any(isinstance(inner, list | tuple) for inner in value.values())
        )
        if isinstance(value, Mapping) and value and not is_dimension:
            yield from _entries(value, f"{path}.")
        else:
            yield path, value


def _read(value: Any) -> Any:
    """What was typed, with its mappings, lists and nulls; what text in a list means follows from the searched field."""
    value = structure(value)
    if isinstance(value, Mapping):
        return {name: _read(inner) for name, inner in value.items()}
    return None if isinstance(value, Typed) and value == "null" else value


def read_dimension(value: Any) -> Dimension:
    """A dimension from the form in which recipes write it, which reports have too.

    Raises:
        UserError: The values do not describe a dimension.
    """
    if not isinstance(value, Mapping) or not value:
        raise UserError(_FORM)
    kinds = [kind for kind in value if kind not in (STEP, WHEN)]
    if len(kinds) != 1:
        raise UserError(f"give one kind, not {' and '.join(map(str, kinds)) or 'none'}")
    (kind,) = kinds
    if kind not in KINDS:
        raise UserError(f"there is no kind {kind}; kinds: {', '.join(KINDS)}")
    when = _conditions(value.get(WHEN, {}))
    if kind == "choice":
        if STEP in value:
            raise UserError("choice takes no step; list its values")
        return Dimension("choice", _choices(value[kind]), when=when)
    low, high = _bounds(kind, value[kind])
    step = _step(kind, value[STEP], high - low) if STEP in value else None
    return Dimension(cast(Kind, kind), (low, high), step, when)


def _bounds(kind: str, values: Any) -> tuple[float, float]:
    if not isinstance(values, list | tuple) or len(values) != 2:
        raise UserError(f"{kind} takes two numbers, the lowest and the highest")
    low, high = _number(values[0]), _number(values[1])
    if low >= high:
        raise UserError(f"{kind} takes the lower number first")
    if kind in ("loguniform", "lograndint") and low <= 0:
        raise UserError(f"{kind} takes numbers above 0")
    if kind not in ("randint", "lograndint"):
        return low, high
    if not low.is_integer() or not high.is_integer():
        raise UserError(f"{kind} takes whole numbers")
    return int(low), int(high)


def _step(kind: str, value: Any, width: float) -> float:
    step = _number(value)
    if kind not in ("uniform", "randint"):
        raise UserError(f"{kind} takes no step, only uniform and randint do")
    if not 0 < step <= width:
        raise UserError(f"step={step:g}: steps are above 0 and at most the distance of the bounds, {width:g}")
    if kind == "uniform":
        if width / step > _MOST_STEPS:
            raise UserError(
                f"step={step:g}: is too small for a range of {width:g}; leave step out, or give a larger one"
            )
        return step
    if not step.is_integer():
        raise UserError(f"step={step:g}: steps of randint are whole numbers")
    return int(step)


def _conditions(value: Any) -> dict[str, tuple[Any, ...]]:
    """The values of other fields with which a field is searched, by dotted path."""
    if not isinstance(value, Mapping):
        raise UserError("when names another searched field with its values, such as when: {lifter.name: supermask}")
    given = flatten(value)
    if empty := [path for path, values in given.items() if isinstance(values, list | tuple) and not values]:
        raise UserError(f"when: {empty[0]}=[] is never so; give at least one value, or leave when out")
    return {path: tuple(values) if isinstance(values, list | tuple) else (values,) for path, values in given.items()}


def _choices(values: Any) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise UserError("choice takes a list of at least one value")
    return tuple(values)


def _number(value: Any) -> float:
    # Typed values are still text here; only the fields that are searched determine their types.
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{as_typed(value)} is no finite number")
    return number


def _nearest(path: str, known: Collection[str]) -> str:
    """A hint that names the nearest known path, or else the fields beside it."""
    parent, _, name = path.rpartition(".")
    beside = [other.removeprefix(f"{parent}.") for other in known if parent and other.rpartition(".")[0] == parent]
    if near := difflib.get_close_matches(name, beside, n=1):
        return f"; did you mean {parent}.{near[0]}?"
    if beside:
        return f"; {parent} has {', '.join(beside)}"
    near = difflib.get_close_matches(path, known, n=1)
    return f"; did you mean {near[0]}?" if near else "; --help lists the fields"
