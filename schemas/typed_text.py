"""Text becomes a value by the type of its field: here alone, for command lines and for recipes.

YAML guesses types from spelling: 001 is 1, 10:30 is 630, no is false, and a folder of such a name cannot be named. Here
a text field takes the text as it was typed; numbers, booleans and lists are read where a field holds them.
"""

import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import isclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from schemas.errors import UserError
from schemas.plain_yaml import PlainLoader, load_plain


class Typed(str):
    """Text of a command line, or of a recipe where it has no quotes: what it means follows from the field's type."""

    __slots__ = ()


@dataclass(frozen=True)
class Unread:
    """Marks values that are read later, by the type of another field."""


# An item of a list: quoted as in JSON, quoted as in YAML, or all text up to the next comma outside of brackets.
_ITEM = re.compile(r"""\s*(?:("(?:[^"\\]|\\.)*")|'((?:[^']|'')*)'|((?:[^,\[\]]|\[[^\[\]]*\])*?))\s*,""", re.DOTALL)
_PLAIN = re.compile(r"[\w./+-]+")
_LISTS = (tuple, list, set, frozenset, Sequence)
_MAPPINGS = (dict, Mapping)


def read(value: Any, annotation: Any) -> Any:
    """A value as Pydantic can validate it for a field: what was typed is taken by the field's type.

    What does not fit the type stays as it is, and Pydantic says so.

    Args:
        value: What a command line, a recipe or code gives.
        annotation: The type of the field.
    """
    members = list(_members(annotation))
    if Unread in members:
        return value
    if isinstance(value, Typed):
        value = _read_text(value, members)
    if isinstance(value, Mapping):
        inner = next((get_args(m)[1] for m in members if get_origin(m) in _MAPPINGS), None)
        inner = Any if inner is None and Any in members else inner
        # A nested config converts its own fields when Pydantic validates it.
        return value if inner is None else {str(name): read(item, inner) for name, item in value.items()}
    if isinstance(value, list | tuple):
        inner = next((m if m is Any else get_args(m)[0] for m in members if m is Any or get_origin(m) in _LISTS), str)
        return [read(item, inner) for item in value]
    return value


def structure(value: Any) -> Any:
    """A value of which the outermost mapping or list, where it was typed, is read; text in it stays as typed."""
    if isinstance(value, Typed) and value.startswith(("{", "[")):
        try:
            return load_yaml(value)
        except UserError:
            return value
    return value


def load_yaml(content: str | bytes) -> Any:
    """Mappings, lists and text of YAML. Text without quotes is `Typed`; null is None.

    Raises:
        UserError: The content is not YAML.
    """
    try:
        return _Loader(content).get_single_data()
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"is not YAML: {' '.join(str(error).split())}") from error


def write(path: str, value: Any) -> str:
    """A value of a command line or a recipe as text that `read` takes for the same value.

    Raises:
        UserError: There is no such text: a recipe has quotes around what a command line takes for null or a list.
    """
    if isinstance(value, str):
        if not isinstance(value, Typed) and (value == "null" or _items(value) is not None):
            raise UserError(f"{path}={value}: on a command line this is no text, and quotes do not help; rename it")
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_write_item, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _write_item(item: Any) -> str:
    # Quotes keep an item's own commas, spaces and brackets apart from those of the list.
    plain = isinstance(item, Typed) and _PLAIN.fullmatch(item)
    return item if plain else json.dumps(item, ensure_ascii=False)


def _read_text(text: Typed, members: Sequence[Any]) -> Any:
    """The value of a text for a field of these types."""
    if text == "null" and types.NoneType in members:
        return None
    if Any in members:
        try:
            return load_plain(text)
        except (yaml.YAMLError, ValueError):
            return str(text)
    lists = [member for member in members if get_origin(member) in _LISTS]
    if any(get_origin(get_args(member)[0]) in _MAPPINGS for member in lists) and isinstance(structure(text), list):
        return structure(text)
    if lists and (items := _items(text)) is not None:
        return items
    if any(get_origin(m) in _MAPPINGS or (isclass(m) and issubclass(m, BaseModel)) for m in members):
        return structure(text)
    choices = (choice for member in members if get_origin(member) is Literal for choice in get_args(member))
    return next((choice for choice in choices if str(choice) == text), str(text))


def _items(text: str) -> list[Any] | None:
    """Items of a list in brackets, where those without quotes are `Typed` and empty ones None; None if not a list."""
    if len(text) < 2 or (text[0], text[-1]) != ("[", "]"):
        return None
    body, at, items = f"{text[1:-1]},", 0, list[Any]()
    while at < len(body):
        match = _ITEM.match(body, at)
        if match is None:
            return None
        in_json, in_yaml, bare = match.groups()
        at = match.end()
        if in_json is not None:
            items.append(_unquoted(in_json))
        else:
            items.append(in_yaml.replace("''", "'") if in_yaml is not None else Typed(bare) if bare else None)
    return items[:-1] if items[-1] is None else items  # the comma at the end was added here, or typed


def _unquoted(text: str) -> str:
    try:
        return json.loads(text, strict=False)
    except ValueError:  # not JSON's escapes: the quotes belong to the text
        return Typed(text)


def _members(annotation: Any) -> Iterator[Any]:
    """The types that a field may have."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        yield from [Unread] if any(isinstance(mark, Unread) for mark in marks) else _members(inner)
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")


class _Loader(PlainLoader):
    """A YAML reader that takes all scalars as text, except null and merge keys (<<)."""


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if entry[0] in _KEPT]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> str:
    text = loader.construct_scalar(node)
    return Typed(text) if node.style is None else text


_Loader.add_constructor("tag:yaml.org,2002:str", _scalar)
