"""The two expected ways for a job to fail. Any other exception is a bug and keeps its traceback."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake the user can fix; the message is one line with name, rule, value and fix.

    Jobs print the message without a traceback and exit with code 2.
    """


class RunFailed(RuntimeError):
    """A failure of the environment (full disk, lost network) in a job whose config is right; one line with the remedy.

    Jobs print the message without a traceback and exit with code 1.
    """


@contextmanager
def value_of(field: str) -> Iterator[None]:
    """Put a field's name before mistakes that begin with its value, an address, because their finder knows no more.

    Args:
        field: Its dotted path; empty: the mistakes stay as they are.

    Raises:
        UserError: The mistakes, a line for each.
    """
    try:
        yield
    except UserError as error:
        if not field:
            raise
        raise UserError("\n".join(f"{field}={line}" for line in str(error).splitlines())) from error
