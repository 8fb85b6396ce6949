"""JSON files of an output: what it was begun with, and what came of it; without the secrets of addresses."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipelines.io import storage
from pipelines.io.secrets import redact
from schemas.errors import UserError

_DAMAGED = "is damaged, or no document of a job; remove it, or give another folder"


def write(uri: str, document: Any) -> None:
    """Write a document, whole or not at all.

    Raises:
        RunFailed: The document cannot be written.
    """
    storage.write_bytes(uri, _text(document).encode())


def read(uri: str, **needs: type) -> Any:
    """Read a document, which another program may have written and which must be an object.

    Args:
        uri: Where it is.
        **needs: Kinds of the values that it must have, by name.

    Raises:
        OSError: The document cannot be read.
        UserError: The document is not JSON, not an object, or lacks a value.
    """
    with damage(uri):
        document = parse(storage.read_bytes(uri))
    if not isinstance(document, dict):
        raise UserError(f"{uri}: {_DAMAGED}")
    for name, kind in needs.items():
        if not isinstance(document.get(name), kind):
            raise UserError(f"{uri}: {_DAMAGED} ({name!r} is missing or of another kind)")
    return document


@contextmanager
def damage(where: str) -> Iterator[None]:
    """Report any error that the content of a document causes as one kind of error.

    Raises:
        UserError: The content caused an error.
    """
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, StopIteration, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{where}: {_DAMAGED} ({type(error).__name__}: {reason})") from error


def parse(text: str | bytes, **options: Any) -> Any:
    """The value that JSON text of unknown origin holds.

    Args:
        text: The text.
        **options: Options of `json.loads`.

    Raises:
        ValueError: The text is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def as_read(document: Any) -> Any:
    """The document as `read` would return it after `write`, to compare it with a stored one."""
    return json.loads(_text(document))


def _text(document: Any) -> str:
    return redact(json.dumps(document, indent=2))
