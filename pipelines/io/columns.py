"""Checks that a file's columns are those of its format, because the name of the format alone proves nothing."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from pipelines.io.secrets import printable
from schemas.errors import UserError


def misfit(actual: pa.Schema, expected: pa.Schema, required: Collection[str] = ()) -> str | None:
    """What is wrong with the columns of a file, as the end of a sentence; None if nothing is.

    Numbers of other widths, and texts and lists of other kinds, are what other programs write of the same.

    Args:
        actual: The file's columns.
        expected: Those of its format.
        required: The columns that it must have.
    """
    if lacking := [name for name in required if name not in actual.names]:
        return f"lacks the column {lacking[0]!r}"
    for field in expected:
        places = actual.get_all_field_indices(field.name)
        if len(places) > 1:
            return f"has the column {field.name!r} twice"
        if places and not _fits(actual.field(places[0]).type, field.type):
            return f"holds {actual.field(places[0]).type} in the column {field.name!r}, where {field.type} belongs"
    return None


def text_of(metadata: Mapping[bytes, bytes] | None, key: bytes, absent: str = "unknown") -> str:
    """A text in the metadata of a file, on one line; undecodable bytes are replaced and long texts are cut."""
    return printable((metadata or {}).get(key, absent.encode()).decode(errors="replace")[:1000])


def document_of(file: str, metadata: Mapping[bytes, bytes] | None, key: bytes) -> dict[str, Any]:
    """A JSON object in the metadata of a file.

    Raises:
        UserError: There is no such object.
    """
    try:
        value = json.loads((metadata or {})[key])
    except (KeyError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{file}: is damaged: it does not say what it was made with; remove it and write it again")
    return value


def _fits(actual: pa.DataType, expected: pa.DataType) -> bool:
    kind = pa.types
    if kind.is_dictionary(actual):
        return _fits(actual.value_type, expected)
    if kind.is_null(actual):
        return True
    if kind.is_struct(expected):
        if not kind.is_struct(actual):
            return False
        parts = [actual.field(place) for place in range(actual.num_fields)]
        kinds = {part.name: part.type for part in parts}
        if len(kinds) < len(parts):  # a name occurs twice
            return False
        return all(field.name not in kinds or _fits(kinds[field.name], field.type) for field in expected)
    if kind.is_list(expected):
        lists = (kind.is_list, kind.is_large_list, kind.is_fixed_size_list)
        return any(is_kind(actual) for is_kind in lists) and _fits(actual.value_type, expected.value_type)
    if kind.is_string(expected):
        return kind.is_string(actual) or kind.is_large_string(actual)
    if kind.is_floating(expected):
        return kind.is_floating(actual) or kind.is_integer(actual)
    if kind.is_integer(expected):
        return kind.is_integer(actual)
    return actual.equals(expected)
