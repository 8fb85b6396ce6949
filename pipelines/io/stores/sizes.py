"""Opens files for `storage` whose size is known before memory is taken for them, wherever they lie."""

import errno
import functools
import os
from contextlib import ExitStack
from typing import BinaryIO, cast

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.io.addresses import require_file
from pipelines.io.machine import usable_memory_bytes
from pipelines.io.stores.copies import temporary_copy

# What is made of a file takes this many times its size in memory: of numbers as they are stored, and of texts, such as
# JSON of many small lists.
AS_IT_IS, PARSED = 2, 32
_TOO_LARGE = "the memory of this machine takes {:,}"


def open_file(fs: AbstractFileSystem, path: str, times: int | None) -> BinaryIO:
    """Open a file for reading.

    Args:
        fs: Where it is.
        path: Its path there.
        times: What is made of it takes this many times its size in memory; None: it is read in parts.

    Raises:
        OSError: The file cannot be read, is a named pipe or a device, or is too large for this machine's memory.
    """
    most_bytes = _memory_bytes() // (times or 1)
    if "http" in fs.protocol:
        # A web server may send other bytes than those that are asked for, and without an end.
        return temporary_copy(fs, path, most_bytes, _TOO_LARGE)
    if isinstance(fs, LocalFileSystem):
        require_file(path)
    file = cast(BinaryIO, fs.open(path, "rb"))
    if times is not None:
        with ExitStack() as closed:
            closed.enter_context(file)
            require(file.seek(0, os.SEEK_END), times)
            file.seek(0)
            closed.pop_all()  # it stays open
    return file


def require(size: int, times: int = AS_IT_IS) -> None:
    """Check the size of a file, bytes; `times` as `open_file` has it.

    Raises:
        OSError: The file is too large for this machine's memory.
    """
    if size > _memory_bytes() // times:
        raise OSError(errno.EFBIG, f"{size:,} bytes, {_TOO_LARGE.format(_memory_bytes() // times)}")


@functools.cache
def _memory_bytes() -> int:
    return usable_memory_bytes()
