"""The search space of the tune job: a config field's dotted path, mapped to the values to try.

Recipes write it as `optimization.learning_rate: {loguniform: [1e-4, 1e-2]}`; `read_space` checks and parses it.
"""

import difflib
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from schemas.errors import UserError
from schemas.typed_text import Typed, read, structure

Kind = Literal["uniform", "loguniform", "randint", "choice"]
KINDS: tuple[Kind, ...] = ("uniform", "loguniform", "randint", "choice")


@dataclass(frozen=True)
class Dimension:
    """The values that one field may take in a search.

    Attributes:
        kind: uniform, loguniform and randint (whole numbers, both ends included) lie between two bounds; choice is one
            of its values.
        values: The lowest and the highest value, or the choices.
    """

    kind: Kind
    values: tuple[Any, ...]

    def document(self) -> dict[str, list[Any]]:
        """The form in which recipes write it."""
        return {self.kind: list(self.values)}


Space = Mapping[str, Dimension]


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
        try:
            if path not in known:
                raise UserError(f"there is no such field to search{_nearest(path, known)}")
            space[path] = _dimension(value)
        except UserError as error:
            mistakes.append(f"search_space.{path}={json.dumps(read(value, Any), default=str)}: {error}")
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


def _dimension(value: Any) -> Dimension:
    if not isinstance(value, Mapping) or not value:
        raise UserError("give a kind with its values, such as {uniform: [low, high]} or {choice: [a, b]}")
    if len(value) > 1:
        raise UserError(f"give one kind, not {' and '.join(map(str, value))}")
    ((kind, values),) = value.items()
    if kind not in KINDS:
        raise UserError(f"there is no kind {kind!r}; kinds: {', '.join(KINDS)}")
    if kind == "choice":
        return Dimension("choice", _choices(values))
    if not isinstance(values, list | tuple) or len(values) != 2:
        raise UserError(f"{kind} takes two numbers, the lowest and the highest")
    low, high = _number(values[0]), _number(values[1])
    if low >= high:
        raise UserError(f"{kind} takes the lower number first")
    if kind == "loguniform" and low <= 0:
        raise UserError("loguniform takes numbers above 0")
    if kind == "randint":
        if not low.is_integer() or not high.is_integer():
            raise UserError("randint takes whole numbers")
        return Dimension("randint", (int(low), int(high)))
    return Dimension(cast(Kind, kind), (low, high))


def _choices(values: Any) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise UserError("choice takes a list of at least one value")
    return tuple(values)


def _number(value: Any) -> float:
    # What was typed is text here: the fields that are searched say what it is.
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{value!r} is not a number")
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
