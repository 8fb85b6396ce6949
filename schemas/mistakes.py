"""Says what is wrong with a config: one line for each thing that Pydantic found."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

# Pydantic's names for the members of a union: a type with its arguments, a Python type, or a type with constraints.
_UNION_MEMBER = re.compile(r".*\]|(constrained-)?(int|float|str)|bool|none")

# Pydantic's errors of a value that is no mapping.
_NO_MAPPING = ("dict_type", "mapping_type", "model_type", "model_attributes_type")
# The position of an item at the end of a path: on a command line, a list has no such names.
_ITEM = re.compile(r"\.\d+$")


# Units by the endings of fields' names, and how many of the smaller units that people may think in make one.
_UNITS = {"m": ("metres", (100, 1000)), "s": ("seconds", (1000,))}


def explain(error: ValidationError, prefix: str = "", fields: Sequence[str] = ()) -> list[str]:
    """A line for each mistake: path, value, rule and the nearest right name.

    Args:
        error: What Pydantic found.
        prefix: Put before every path, such as "detector.".
        fields: The dotted paths of the config class, for the names that are near.
    """
    lines = []
    for entry in _one_for_each_value(_innermost(error.errors())):
        inner = entry.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError):  # of a plug-in that this one wraps
            path = "".join(f"{part}." for part in entry["loc"])
            lines += explain(inner, prefix + path)
        else:
            lines.append(_line(entry, fields, prefix))
    return lines


def why_no_card(error: Exception) -> str:
    """What is wrong with the card of a file of weights, and what helps: a newer version may have more fields."""
    if isinstance(error, ValidationError):
        unknown = [entry for entry in error.errors() if entry["type"] == "extra_forbidden"]
        if unknown and len(unknown) == error.error_count():
            return f"the card has {_field(unknown[0])}, which this version does not know; upgrade raylift"
    return "the card is damaged; copy the file again"


def _innermost(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """The errors without those of a list or group within which another one says more closely what is wrong.

    Pydantic tries every member of a union: a wrong item of a list that may also be an address has an error of its own,
    and the list has another, because it is no text.
    """
    parents: set[str] = set()
    for error in errors:
        parts = _field(error).split(".")
        parents.update(".".join(parts[:length]) for length in range(1, len(parts)))
    return [error for error in errors if _field(error) not in parents]


def _one_for_each_value(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """The errors, but a single one for a value that is of none of the types of a union, with what all of them say."""
    for _, group in groupby(errors, lambda error: (_field(error), id(error["input"]))):
        same = list(group)
        # A rule of Raylift tells the user more than Pydantic's lists of types.
        most_telling = next((error for error in same if error["type"] == "value_error"), same[0])
        if len(same) > 1 and most_telling["type"] != "value_error":
            rules = [error["msg"][0].lower() + error["msg"][1:] for error in same]
            most_telling["msg"] = ", or ".join(dict.fromkeys(rules))
        yield most_telling


def _field(error: ErrorDetails) -> str:
    """The path of a field. Pydantic's `loc` also names members of unions, such as "tuple[str, ...]" or "float"."""
    return ".".join(str(part) for part in error["loc"] if not _UNION_MEMBER.fullmatch(str(part)))


def _line(error: ErrorDetails, fields: Sequence[str], prefix: str) -> str:
    path, given = prefix + _field(error), as_typed(error["input"])
    if error["type"] == "missing":
        return f"{path}: is required; give {path}=…"
    if error["type"] == "extra_forbidden" and "." in (name := str(error["loc"][-1])):
        nested = f"{name.replace('.', ': {')}: …{'}' * name.count('.')}"
        return f"{path}={given}: there is no such field; a recipe nests fields: {nested}"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path, [prefix + field for field in fields], n=1)
        hint = f"; did you mean {near[0]}?" if near else "; --help lists the fields"
        return f"{path}={given}: there is no such field{hint}"
    list_path = _ITEM.sub("", path)
    if error["type"] in _NO_MAPPING and list_path != path:
        return f"{list_path}: {given}: is no group of fields; give {list_path}=[{{NAME: …}}]"
    if error["type"] in _NO_MAPPING:
        return f"{path}={given}: is a group of fields; give {path}.NAME=… or {path}={{NAME: …}}"
    if error["type"] == "string_type" and error["input"] is None:
        return f'{path}: is empty or null, and no text; quote it ("…") if it is meant as text'
    if error["type"] == "tuple_type" and isinstance(error["input"], str):
        return f"{path}={given}: is no list; give {path}=[{given}]"
    rule = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error" and isinstance(error["input"], Mapping):  # of several fields together
        return ": ".join(filter(None, [path.rstrip("."), rule]))
    where = f"{list_path}: {given}" if list_path != path else f"{path}={given}"
    return f"{where}: {rule[0].lower()}{rule[1:]}{_unit_hint(path, error)}"


def _unit_hint(path: str, error: ErrorDetails) -> str:
    """The value in the field's own unit, where it is too large and would fit in the unit that was probably meant."""
    value, limits = error["input"], error.get("ctx", {})
    limit = limits.get("le", limits.get("lt"))
    unit, parts = _UNITS.get(path.rpartition("_")[2], ("", ()))
    if not isinstance(limit, int | float) or isinstance(value, bool):
        return ""
    try:
        fitting = [float(value) / part for part in parts if float(value) / part <= limit]
    except (TypeError, ValueError):
        return ""
    return f"; it is in {unit}: {path}={fitting[0]:g}" if fitting else ""


def as_typed(value: Any) -> str:
    """A value as it is typed on a command line, in one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {as_typed(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_typed, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value).replace("\n", "\\n")
