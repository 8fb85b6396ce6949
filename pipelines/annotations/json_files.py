"""Reads JSON annotation files: their content without the outlines of people, and the hash of their bytes."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from pipelines.io import json_documents, storage
from pipelines.video.limits import LONGEST_SIDE_PX
from schemas.errors import UserError

# Python's messages for texts that `int` and `float` cannot read.
_NO_NUMBER = re.compile(r"(?:invalid literal for int\(\) with base 10|could not convert string to float): (.*)")


@dataclass(frozen=True)
class JsonFile:
    """A parsed file.

    Attributes:
        uri: Where it is.
        sha256: Of its bytes.
        document: Its content without the outlines of people.
    """

    uri: str
    sha256: str
    document: Any


def read_json(uri: str) -> JsonFile:
    """Read a JSON file without the outlines of people (`segmentation`).

    Outlines are most of the bytes of COCO's files and nothing here uses them: they are dropped while parsing.

    Raises:
        UserError: The file cannot be read, or is not JSON.
    """
    try:
        data = storage.read_bytes(uri)
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}") from error
    try:
        return JsonFile(uri, hashlib.sha256(data).hexdigest(), json_documents.parse(data, object_hook=_without_outline))
    except ValueError as error:  # JSONDecodeError, and UnicodeDecodeError of a file that is not UTF-8
        raise UserError(f"{uri}: is not json: {error}") from error


def entry_error(error: Exception) -> str:
    """The reason why an entry of such a file cannot be used, in plain words for messages."""
    if isinstance(error, KeyError):
        return f"has no {error.args[0]!r}"
    if isinstance(error, TypeError | AttributeError):
        return "holds a value of another kind than the format has there"
    no_number = _NO_NUMBER.match(str(error))
    return f"{no_number[1]} is no number" if no_number else str(error)


def id_of(given: Any) -> int:
    """The id of an image or an annotation, which some tools write as text.

    Raises:
        ValueError: The id is no number, or one that results cannot hold.
    """
    number = int(given)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"the id {str(number)[:40]}… has more than 64 bits")
    return number


def side_of(image: Any, name: str) -> int:
    """The width or height of an image, px; 0 if it is not given.

    Raises:
        ValueError: No image has this size.
    """
    side = int(image.get(name) or 0)
    if not 0 <= side <= LONGEST_SIDE_PX:
        raise ValueError(f"{name} must be 0 (unknown) to {LONGEST_SIDE_PX} px, not {str(side)[:40]}")
    return side


def _without_outline(entry: dict[str, Any]) -> dict[str, Any]:
    entry.pop("segmentation", None)
    return entry
