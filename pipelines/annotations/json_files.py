"""Annotation files in json: read, hashed, and parsed without what is large and not needed."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pipelines.io import storage
from schemas.errors import UserError


@dataclass(frozen=True)
class JsonFile:
    """A parsed file.

    Attributes:
        uri: Where it is.
        sha256: Of its bytes.
        document: What it holds, less outlines of people.
    """

    uri: str
    sha256: str
    document: Any


def read_json(uri: str) -> JsonFile:
    """Read a json file; outlines (`segmentation`), most of COCO's files, are dropped while parsing.

    Raises:
        UserError: It cannot be read, or is no json.
    """
    try:
        data = storage.read_bytes(uri)
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}") from error
    try:
        return JsonFile(uri, hashlib.sha256(data).hexdigest(), json.loads(data, object_hook=_without_outline))
    except ValueError as error:  # of the text's encoding too
        raise UserError(f"{uri}: is not json: {error}") from error


def _without_outline(found: dict[str, Any]) -> dict[str, Any]:
    found.pop("segmentation", None)
    return found
