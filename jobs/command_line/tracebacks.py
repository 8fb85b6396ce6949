"""Exceptions that nobody foresaw, as lines without secrets."""

import sys
import traceback
from types import TracebackType

from pipelines.io.secrets import printable, redact


def traceback_lines(error: BaseException) -> list[str]:
    """The lines that Python prints of an exception, without the secrets of addresses in them."""
    return [printable(line) for text in traceback.format_exception(error) for line in redact(text).splitlines()]


def print_traceback(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    """Take the place of `sys.excepthook`."""
    print("\n".join(traceback_lines(error)), file=sys.stderr)
