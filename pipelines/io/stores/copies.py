"""Copies of remote videos on this machine's disk, for decoders that want files: whole, current, and of bounded size.

Any number of processes share them: who fetches a video holds its lock, and the copy gets its name once it is whole.
"""

import hashlib
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

PARTIAL = ".tmp-"
# Consecutive clips of a video need not ask the store whether it is still the same.
_CHECKED_EVERY_S, _CHECKED_AT_MOST = 60.0, 1000
_checked: dict[str, tuple[Path, float]] = {}
# What was used a moment ago is about to be opened.
_IN_USE_S = 60.0
# Nobody has written to it for an hour.
_ABANDONED_S = 3600.0
# A changing object is fetched so often.
_ATTEMPTS = 3


class FileSystem(Protocol):
    """What is needed of a file system of fsspec's."""

    def info(self, path: str) -> Mapping[str, Any]:
        """What is known of an object without reading it."""
        ...

    def get_file(self, rpath: str, lpath: str) -> None:
        """Copy it to this machine."""
        ...


def local_copy(fs: FileSystem, path: str, name: str, cache: Path, cache_bytes: int) -> Path:
    """The copy of an object, fetched if there is none or it has changed.

    Args:
        fs: Where the object is.
        path: Its path there.
        name: Tells it from all others.
        cache: Folder for copies.
        cache_bytes: Of all copies together.

    Raises:
        OSError: It cannot be read, or is larger than the cache.
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


def _fetch(fs: FileSystem, path: str, name: str, folder: Path, cache_bytes: int) -> Path:
    """The copy of an object as it is now."""
    partial = folder / f"{PARTIAL}{name}"
    with FileLock(folder / f"{name}.lock"):
        for _ in range(_ATTEMPTS):
            version, size = _version(fs, path)
            copy = folder / f"{name}-{version}{Path(path).suffix}"
            if _use(copy):
                return copy
            if size is not None and size > cache_bytes:
                raise OSError(
                    f"{path}: {size:,} bytes, the cache holds {cache_bytes:,}; give a larger cache (decode.cache_gb)"
                )
            _evict(folder, cache_bytes - (size or 0))
            try:
                fs.get_file(path, str(partial))
                if size in (None, partial.stat().st_size) and _version(fs, path)[0] == version:
                    for outdated in folder.glob(f"{name}-*"):
                        outdated.unlink(missing_ok=True)
                    return partial.replace(copy)
            finally:
                partial.unlink(missing_ok=True)
    raise OSError(f"{path}: changes while it is read, or arrives incomplete; tried {_ATTEMPTS} times")


def _version(fs: FileSystem, path: str) -> tuple[str, int | None]:
    """What tells an object from what was there before under its name, and its size in bytes if the store says so."""
    info = fs.info(path)
    known = [str(info.get(key)) for key in ("ETag", "etag", "LastModified", "mtime", "updated", "size")]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16], info.get("size")


def _use(copy: Path) -> bool:
    """Mark a copy as used; false if there is none."""
    try:
        os.utime(copy)
    except OSError:
        return False
    return True


def _evict(folder: Path, limit_bytes: int) -> None:
    """Remove the copies used longest ago until the others fit, and what killed processes left half fetched."""
    now, found = time.time(), []
    for file in folder.iterdir():
        with suppress(OSError):  # another process was first
            stat = file.stat()
            if file.name.startswith(PARTIAL) and now - stat.st_mtime > _ABANDONED_S:
                file.unlink()
            elif file.suffix != ".lock" and not file.name.startswith(PARTIAL):
                found.append((stat.st_mtime, stat.st_size, file))
    total = sum(size for _, size, _ in found)
    for used_at, size, file in sorted(found):
        if total <= limit_bytes or now - used_at < _IN_USE_S:
            return
        total -= size
        file.unlink(missing_ok=True)
