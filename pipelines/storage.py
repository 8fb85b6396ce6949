"""All paths are URIs and all of them pass here: local files, s3://, gs://, http://, anything fsspec knows.

Writes are whole or absent: local files are written under a temporary name and renamed; an object store shows
an object only once its upload has finished.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import fsspec
import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from fsspec.implementations.local import LocalFileSystem

from schemas.errors import RunFailed, UserError

# Temporary names start so; listings skip them and `remove_leftovers` removes them.
TEMPORARY = ".tmp-"


def cache_folder() -> Path:
    """Where downloads are kept: `RAYLIFT_CACHE`, or ~/.cache/raylift."""
    return Path(os.environ.get("RAYLIFT_CACHE") or Path.home() / ".cache" / "raylift")


def filesystem(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URI and the path on it.

    Raises:
        UserError: The protocol is unknown or its package is not installed.
    """
    try:
        fs, path = fsspec.url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise UserError(f"{uri}: this kind of address cannot be opened: {error}") from error
    return fs, path


def arrow_filesystem(uri: str) -> tuple[pa_fs.FileSystem, str]:
    """The file system of a URI for those who want PyArrow's, and the path on it."""
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        return pa_fs.LocalFileSystem(), os.path.abspath(path)
    return pa_fs.PyFileSystem(pa_fs.FSSpecHandler(fs)), path


def is_local(uri: str) -> bool:
    """Whether the URI is a path on this machine."""
    return isinstance(filesystem(uri)[0], LocalFileSystem)


def absolute(uri: str) -> str:
    """The one spelling of a URI: an absolute path for local files, else protocol and path."""
    fs, path = filesystem(uri)
    return os.path.normpath(path) if isinstance(fs, LocalFileSystem) else fs.unstrip_protocol(path)


def join(folder: str, *names: str) -> str:
    """A URI inside a folder."""
    return "/".join([folder.rstrip("/"), *names])


def list_folder(folder: str, suffix: str = "") -> list[str]:
    """Sorted URIs of the finished files directly in a folder; empty if there is no such folder."""
    fs, path = filesystem(folder)
    fs.invalidate_cache()
    if not fs.isdir(path):
        return []
    names = (entry.rstrip("/").rsplit("/", 1)[1] for entry in fs.ls(path, detail=False))
    return sorted(join(folder, name) for name in names if name.endswith(suffix) and TEMPORARY not in name)


def write_bytes(uri: str, data: bytes | memoryview | pa.Buffer) -> None:
    """Write a whole file, or nothing.

    Raises:
        RunFailed: It cannot be written; what was there before is untouched.
    """
    fs, path = filesystem(uri)
    temporary = f"{path.rpartition('/')[0]}/{TEMPORARY}{os.getpid()}-{path.rpartition('/')[2]}"
    target = temporary if isinstance(fs, LocalFileSystem) else path
    try:
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        fs.pipe_file(target, memoryview(data).tobytes())
        if target is temporary:
            os.replace(temporary, path)
    except OSError as error:
        if target is temporary and os.path.exists(temporary):
            os.remove(temporary)
        reason = error.strerror or str(error)
        raise RunFailed(
            f"output: cannot write {uri}: {reason}; what is finished is kept, mend it and run the same command"
        ) from error


def write_table(uri: str, table: pa.Table) -> None:
    """Write a Parquet file (zstd), whole or not at all.

    Raises:
        RunFailed: It cannot be written.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(uri, sink.getvalue())


def exists(uri: str) -> bool:
    """Whether there is such a file."""
    fs, path = filesystem(uri)
    fs.invalidate_cache()
    return fs.exists(path)


def read_bytes(uri: str) -> bytes:
    """Read a whole file.

    Raises:
        OSError: It cannot be read.
    """
    fs, path = filesystem(uri)
    with fs.open(path, "rb") as file:
        return cast(bytes, file.read())


def read_table(uri: str, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file or some of its columns."""
    fs, path = filesystem(uri)
    with fs.open(path, "rb") as file:
        return pq.ParquetFile(file).read(columns=columns)


def read_schema(uri: str) -> pa.Schema:
    """The schema of a Parquet file with its metadata, without its rows."""
    fs, path = filesystem(uri)
    with fs.open(path, "rb") as file:
        return pq.read_schema(file)


def remove(uri: str) -> None:
    """Remove a file; that it is gone already is no error."""
    fs, path = filesystem(uri)
    if fs.exists(path):
        fs.rm_file(path)


def remove_folder(uri: str) -> None:
    """Remove a folder with all that is in it; that it is gone already is no error."""
    fs, path = filesystem(uri)
    fs.invalidate_cache()
    if fs.exists(path):
        fs.rm(path, recursive=True)


def remove_leftovers(folder: str) -> None:
    """Remove the temporary files that a killed job left in a folder."""
    fs, path = filesystem(folder)
    if fs.isdir(path):
        for entry in fs.ls(path, detail=False):
            if TEMPORARY in entry.rsplit("/", 1)[1]:
                fs.rm_file(entry)


@contextmanager
def sole_writer(folder: str) -> Iterator[None]:
    """Make a folder and hold it for writing; the hold ends with the process, however it ends.

    Raises:
        UserError: The folder cannot be written, or another job is writing there (known for local folders).
    """
    if not is_local(folder):
        yield
        return
    path = filesystem(folder)[1]
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=TEMPORARY):
            pass
    except OSError as error:
        raise UserError(f"output={folder}: the folder cannot be written: {error.strerror}; choose another") from error
    try:
        with FileLock(f"{path}/.lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"output={folder}: another job is writing here; wait for it or choose another") from error


def local_copy(uri: str, cache_bytes: int) -> Path:
    """A local path for a URI: itself if it is local, else a copy in the cache, streamed there once per machine.

    When the cached videos exceed `cache_bytes`, those used longest ago are removed first; a file that is open
    stays readable until it is closed.

    Raises:
        OSError: It cannot be read.
    """
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        return Path(path)
    folder = cache_folder() / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / (hashlib.sha256(uri.encode()).hexdigest()[:32] + Path(path).suffix)
    with FileLock(f"{copy}.lock"):
        if not copy.exists():
            partial = folder / f"{TEMPORARY}{copy.name}"
            fs.get_file(path, str(partial))
            partial.replace(copy)
    os.utime(copy)
    _evict(folder, cache_bytes, keep=copy)
    return copy


def _evict(folder: Path, limit_bytes: int, keep: Path) -> None:
    files = [f for f in folder.iterdir() if f.suffix != ".lock" and not f.name.startswith(TEMPORARY)]
    sizes = {f: f.stat() for f in files}
    total = sum(s.st_size for s in sizes.values())
    for file in sorted(files, key=lambda f: sizes[f].st_mtime):
        if total <= limit_bytes:
            return
        if file != keep:
            total -= sizes[file].st_size
            file.unlink(missing_ok=True)
