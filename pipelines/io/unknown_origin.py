"""Files of unknown origin: any error of their readers becomes a one-line message that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import UserError

# The exceptions of Python and NumPy for values whose type, size or position differs from the format's.
STUMBLES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


@contextmanager
def blamed(file: str, what: str = "is not of this format") -> Iterator[None]:
    """Report what goes wrong within the block as a mistake in a file.

    Args:
        file: The file, with the field that names it if there is one.
        what: What is wrong with it, if its reader has not said so itself.

    Raises:
        UserError: Something went wrong.
    """
    try:
        yield
    except UserError:
        raise
    except STUMBLES as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: {what} ({type(error).__name__}: {reason})") from error
