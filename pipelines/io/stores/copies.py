"""A cache of remote videos on this machine's disk, because decoders need files. Its size is limited.

All processes of the machine share it. A process that downloads a video holds the video's lock, and the copy gets its
final name when the download is complete.
"""

import hashlib
import math
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from filelock import FileLock
from fsspec import Callback

PARTIAL = ".tmp-"
# A copy that was compared with the store less than this time ago, s, is used without asking the store again, because
# consecutive clips of a video are usually read in a row. At most this many copies are remembered.
_CHECKED_EVERY_S, _CHECKED_AT_MOST = 60.0, 1000
_checked: dict[str, tuple[Path, float]] = {}
# Copies used within this time, s, are not removed, because a process may be about to open them.
_IN_USE_S = 60.0
# Partial downloads are removed if nobody has written to them for this time, s.
_ABANDONED_S = 3600.0
# The download of an object that changes meanwhile is tried at most this many times.
_ATTEMPTS = 3


# A download may take this time, s, plus the time that this rate, bytes/s, needs for what has arrived, so that a server
# that sends a byte a minute is given up.
_PATIENT_S, _SLOWEST_BYTES_S = 600.0, 20_000
_TOO_LARGE = "the cache holds {:,}; give a larger cache (decode.cache_gb)"


class Limits(Callback):
    """Ends a download that grows beyond a size, whatever its server announced, or that never ends.

    Args:
        path: What is downloaded, for messages.
        most_bytes: The size.
        why: What has this limit, for messages, with a place for the number.
    """

    def __init__(self, path: str, most_bytes: int, why: str = _TOO_LARGE) -> None:
        super().__init__()
        self._path, self._most_bytes, self._why, self._bytes = path, most_bytes, why, 0
        self._started = time.monotonic()

    def relative_update(self, inc: int = 1) -> None:
        """Count bytes that have arrived.

        Raises:
            OSError: There are too many bytes, or they arrive too slowly.
        """
        self._bytes += inc
        if self._bytes > self._most_bytes:
            raise OSError(f"{self._path}: {self._bytes:,} bytes, {self._why.format(self._most_bytes)}")
        elapsed_s = time.monotonic() - self._started
        if elapsed_s > _PATIENT_S + self._bytes / _SLOWEST_BYTES_S:
            raise OSError(f"{self._path}: {self._bytes:,} bytes in {elapsed_s:.0f} s, which is too slow")


class FileSystem(Protocol):
    """The methods of fsspec's file systems that are used here."""

    def info(self, path: str) -> Mapping[str, Any]:
        """Return an object's size and other metadata."""
        ...

    def get_file(self, rpath: str, lpath: Any, *, callback: Any) -> None:
        """Download an object to a local file, by name or open."""
        ...


def local_copy(fs: FileSystem, path: str, name: str, cache: Path, cache_bytes: int) -> Path:
    """The local copy of an object, which is downloaded if there is none or the object has changed.

    Args:
        fs: The file system of the object.
        path: Its path there.
        name: A unique name for the copy.
        cache: Folder for copies.
        cache_bytes: Largest total size of all copies.

    Raises:
        OSError: The object cannot be read, or is larger than the cache.
    """
    folder = cache / "videos"
    copy, checked_at = _checked.get(name, (folder, -math.inf))
    if copy.parent != folder or time.monotonic() - checked_at > _CHECKED_EVERY_S or not _use(copy):
        folder.mkdir(parents=True, exist_ok=True)
        copy = _fetch(fs, path, name, folder, cache_bytes)
        if len(_checked) >= _CHECKED_AT_MOST:
            _checked.clear()
        _checked[name] = copy, time.monotonic()
    return copy


def temporary_copy(fs: FileSystem, path: str, most_bytes: int, why: str) -> BinaryIO:
    """An open file with an object's content, which is gone once it is closed; arguments as `Limits` has them.

    Raises:
        OSError: The object cannot be read, is too large, or arrives too slowly.
    """
    with ExitStack() as closed:
        copy = cast(BinaryIO, closed.enter_context(tempfile.TemporaryFile()))
        fs.get_file(path, copy, callback=Limits(path, most_bytes, why))
        copy.seek(0)
        closed.pop_all()  # it stays open
        return copy


def _fetch(fs: FileSystem, path: str, name: str, folder: Path, cache_bytes: int) -> Path:
    """The copy of an object's present version."""
    partial = folder / f"{PARTIAL}{name}"
    with FileLock(folder / f"{name}.lock"):
        for _ in range(_ATTEMPTS):
            version, size = _version(fs, path)
            # The copy has no suffix, so that no reader can choose its decoder by the address.
            copy = folder / f"{name}-{version}"
            if _use(copy):
                return copy
            if size is not None and size > cache_bytes:
                raise OSError(f"{path}: {size:,} bytes, {_TOO_LARGE.format(cache_bytes)}")
            _evict(folder, cache_bytes - (size or 0))
            try:
                fs.get_file(path, str(partial), callback=Limits(path, cache_bytes))
                if size in (None, partial.stat().st_size) and _version(fs, path)[0] == version:
                    for outdated in folder.glob(f"{name}-*"):
                        outdated.unlink(missing_ok=True)
                    return partial.replace(copy)
            finally:
                partial.unlink(missing_ok=True)
    raise OSError(f"{path}: changes during the download, or arrives incomplete; tried {_ATTEMPTS} times")


def _version(fs: FileSystem, path: str) -> tuple[str, int | None]:
    """A hash that identifies the version of an object, and the object's size in bytes if the store says so."""
    info = fs.info(path)
    known = [str(info.get(key)) for key in ("ETag", "etag", "LastModified", "mtime", "updated", "size")]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16], info.get("size")


def _use(copy: Path) -> bool:
    """Mark a copy as used now; returns whether there is one."""
    try:
        os.utime(copy)
    except OSError:
        return False
    return True


def _evict(folder: Path, limit_bytes: int) -> None:
    """Remove the least recently used copies until the others fit, and abandoned partial downloads."""
    now, copies = time.time(), []
    for file in folder.iterdir():
        with suppress(OSError):  # another process may have removed the file
            stat = file.stat()
            if file.name.startswith(PARTIAL) and now - stat.st_mtime > _ABANDONED_S:
                file.unlink()
            elif file.suffix != ".lock" and not file.name.startswith(PARTIAL):
                copies.append((stat.st_mtime, stat.st_size, file))
    total = sum(size for _, size, _ in copies)
    for used_at, size, file in sorted(copies):
        if total <= limit_bytes or now - used_at < _IN_USE_S:
            return
        total -= size
        file.unlink(missing_ok=True)
