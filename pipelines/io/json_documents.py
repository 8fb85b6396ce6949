"""JSON files of an output: what it was begun with, and what came of it; without the secrets of addresses."""

import json
from typing import Any

from pipelines.io import storage
from pipelines.io.secrets import redact


def write(uri: str, document: Any) -> None:
    """Write a document, whole or not at all.

    Raises:
        RunFailed: It cannot be written.
    """
    storage.write_bytes(uri, _text(document).encode())


def read(uri: str) -> Any:
    """Read a document.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no JSON.
    """
    return parse(storage.read_bytes(uri))


def parse(text: str | bytes, **options: Any) -> Any:
    """The value that JSON text of unknown origin holds.

    Args:
        text: The text.
        **options: Options of `json.loads`.

    Raises:
        ValueError: It is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def as_read(document: Any) -> Any:
    """What `read` would give of a document that is written now: to compare it with one that was."""
    return json.loads(_text(document))


def _text(document: Any) -> str:
    return redact(json.dumps(document, indent=2))
