"""Reads, writes and lists files at any URI: local files, s3://, gs://, http://, and a few others of fsspec's.

A write leaves the whole file or nothing: local files are written under a temporary name and then renamed; an object
store shows an object only when its upload has finished. Listings are never cached, because other processes write too.
"""

import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from fsspec.implementations.local import LocalFileSystem

from pipelines.io import parquet
from pipelines.io.addresses import host_of, local_path
from pipelines.io.stores import copies, lease, sizes, web
from schemas.errors import RunFailed, UserError

# The stores are registered by name, because their optional packages take time to load: only their addresses do so.
for _protocol, _store, _package, _extra in (
    *((name, "s3.S3Store", "s3fs", "[s3]") for name in ("s3", "s3a")),
    *((name, "gcs.GcsStore", "gcsfs", "[gs]") for name in ("gs", "gcs")),
    *((name, "web_files.WebFiles", "aiohttp", "") for name in ("http", "https")),
):
    _missing = f"{_package} is missing: install raylift{_extra}"
    fsspec.register_implementation(_protocol, f"pipelines.io.stores.{_store}", clobber=True, errtxt=_missing)

FileSystem = fsspec.AbstractFileSystem  # what `filesystem` returns

# The schemes that addresses may begin with. fsspec knows more, such as chains of addresses and shells on other
# machines, but an address may come from a list that somebody else wrote.
SCHEMES = ("file", "s3", "s3a", "gs", "gcs", "http", "https", "abfs", "abfss", "az", "hdfs", "memory")
TEMPORARY = ".tmp-"  # prefix of temporary names; listings skip these files, and `remove_leftovers` removes them
# A file is read again at most this many times if it is replaced during the read, as a job's progress report may be.
_READ_ATTEMPTS = 10


def cache_folder() -> Path:
    """The folder of downloaded files, made for this user alone: `RAYLIFT_CACHE`, or ~/.cache/raylift."""
    folder = Path(os.environ.get("RAYLIFT_CACHE") or Path.home() / ".cache" / "raylift")
    with suppress(OSError):  # the error is reported when a file is written into it
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def filesystem(uri: str, hosts: Collection[str] | None = None) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URI and the path on it.

    Args:
        uri: The URI.
        hosts: Hosts of web servers that the command line names, if something else named the URI; None: the command line
            did. Only these may have private addresses.

    Raises:
        UserError: The protocol is not one of `SCHEMES`, or its package is not installed.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme == "file" or uri.startswith("/"):
        return fsspec.filesystem("file"), local_path(uri)
    if scheme not in SCHEMES:
        raise UserError(f"{uri}: addresses of this kind cannot be opened; these can: {', '.join(SCHEMES)}")
    named = {host_of(uri)} if hosts is None else hosts
    options = web.options(frozenset(named)) if scheme.startswith("http") else {}
    try:
        # `url_to_fs` is not used, because it takes a::b.mp4 for a chain of addresses and opens `a`.
        kind = fsspec.get_filesystem_class(scheme)
        fs = kind(use_listings_cache=False, **kind._get_kwargs_from_urls(uri), **options)
        return fs, str(kind._strip_protocol(uri))
    except (ValueError, ImportError) as error:
        raise UserError(f"{uri}: addresses of this kind cannot be opened: {error}") from error


def arrow_filesystem(uri: str) -> tuple[pa_fs.FileSystem, str]:
    """The file system of a URI as a PyArrow one, and the path on it."""
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        return pa_fs.LocalFileSystem(), os.path.abspath(path)
    return pa_fs.PyFileSystem(pa_fs.FSSpecHandler(fs)), path


def is_local(uri: str) -> bool:
    """Whether the URI is a path on this machine."""
    return isinstance(filesystem(uri)[0], LocalFileSystem)


def absolute(uri: str) -> str:
    """The normalised form of a URI: an absolute path for local files, else protocol and path."""
    fs, path = filesystem(uri)
    return address_of(fs, path)


def address_of(fs: fsspec.AbstractFileSystem, path: str) -> str:
    """The normalised URI of a path on a file system."""
    return os.path.normpath(path) if isinstance(fs, LocalFileSystem) else fs.unstrip_protocol(path)


def join(folder: str, *names: str) -> str:
    """A URI inside a folder."""
    return "/".join([folder.rstrip("/"), *names])


def list_folder(folder: str, suffix: str = "") -> list[str]:
    """Sorted URIs of the finished files directly in a folder; empty if there is no such folder.

    Raises:
        OSError: The folder cannot be listed.
    """
    names = [path.rsplit("/", 1)[1] for path in _entries(folder) if path.endswith(suffix)]
    return sorted(join(folder, name) for name in names if TEMPORARY not in name)


def _entries(folder: str) -> list[str]:
    """The paths of the files and folders directly in a folder; empty if there is no such folder."""
    fs, path = filesystem(folder)
    fs.invalidate_cache()
    try:
        # `isdir` of most file systems returns False after any error; a resumed job would then start from nothing.
        entries = [str(entry).rstrip("/") for entry in fs.ls(path, detail=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [entry for entry in entries if entry != path.rstrip("/")]


def write_bytes(uri: str, data: bytes | memoryview | pa.Buffer) -> None:
    """Write a whole file, or nothing.

    Raises:
        RunFailed: The file cannot be written; a file that was there before is unchanged.
    """
    fs, path = filesystem(uri)
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/{TEMPORARY}{secrets.token_hex(8)}-{name}"
    target = temporary if isinstance(fs, LocalFileSystem) else path
    try:
        if not isinstance(fs, lease.ConditionalStore):  # object stores have no folders: this would create a bucket
            fs.makedirs(folder, exist_ok=True)
        if target is not temporary:
            fs.pipe_file(path, memoryview(data).tobytes())
            return
        with open(temporary, "xb") as file:  # "x" never follows a link that somebody put there
            file.write(data)
            # Without a flush, the name may stand for an empty file after a power failure.
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (UserError, RunFailed):  # the store's own message is complete
        raise
    except OSError as error:
        if target is temporary and os.path.exists(temporary):
            os.remove(temporary)
        raise RunFailed(
            f"output: cannot write {uri}: {error.strerror or error}; what is finished is kept, remove the cause and "
            "run the same command"
        ) from error


def write_table(uri: str, table: pa.Table) -> None:
    """Write a Parquet file (zstd), whole or not at all.

    Raises:
        RunFailed: The file cannot be written.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(uri, sink.getvalue())


def exists(uri: str, hosts: Collection[str] | None = None) -> bool:
    """Whether there is such a file or folder; `hosts` as `filesystem` takes them. Raises what the storage answers."""
    fs, path = filesystem(uri, hosts)
    fs.invalidate_cache()
    try:
        fs.info(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def open_file(uri: str) -> BinaryIO:
    """Open a file, which is read in parts; raises what `read_bytes` does, for files of any size on disks and stores."""
    return sizes.open_file(*filesystem(uri), None)


def read_bytes(uri: str, unparsed: bool = False) -> bytes:
    """Read a whole file.

    Args:
        uri: The file.
        unparsed: Whether it is used as it is; what is made of texts takes many times their size in memory.

    Raises:
        OSError: The file cannot be read, or is too large for this machine's memory.
    """
    left = _READ_ATTEMPTS
    while True:
        left -= 1
        try:
            with sizes.open_file(*filesystem(uri), sizes.AS_IT_IS if unparsed else sizes.PARSED) as file:
                return file.read()
        except OSError as error:
            if error.errno != errno.EBUSY or not left:  # EBUSY: an object was replaced after it was opened
                raise


@contextmanager
def open_table(uri: str) -> Iterator[parquet.ParquetTable]:
    """A Parquet file, whose rows are then read; raises what `parquet.opened` does."""
    with open_file(uri) as file, parquet.opened(file, uri) as table:
        yield table


def read_table(uri: str, columns: list[str] | None = None, threads: bool = True) -> pa.Table:
    """Read a Parquet file, or those of some columns that it has; raises what `parquet.opened` does."""
    with open_table(uri) as table:
        return table.read(columns, threads)


def read_schema(uri: str, noun: str = "Parquet", fix: str = "remove it and write it again") -> pa.Schema:
    """Read the schema of a Parquet file with its metadata, without its rows; raises what `parquet.schema_of` does."""
    with open_file(uri) as file:
        return parquet.schema_of(file, uri, noun, fix)


def remove(uri: str) -> None:
    """Remove a file if it exists."""
    fs, path = filesystem(uri)
    with suppress(FileNotFoundError):
        fs.rm_file(path)


def remove_folder(uri: str) -> None:
    """Remove a folder with all its content if it exists."""
    if exists(uri):
        fs, path = filesystem(uri)
        fs.rm(path, recursive=True)


def remove_leftovers(folder: str) -> None:
    """Remove what a killed job left unfinished in a folder: temporary files, or parts of uploads."""
    fs, path = filesystem(folder)
    if isinstance(fs, lease.ConditionalStore):
        fs.abort_uploads(path)
        return
    for entry in _entries(folder):
        if TEMPORARY in entry.rsplit("/", 1)[1]:
            fs.rm_file(entry)


@contextmanager
def sole_writer(folder: str) -> Iterator[None]:
    """Create a folder and lock it for writing; the lock ends with the process, even if that is killed.

    Raises:
        UserError: The folder cannot be written, or another job is writing there (known for local folders, S3 and GCS).
        RunFailed: In a bucket: this process did not renew its lock for so long that another job has taken it over.
    """
    fs, path = filesystem(folder)
    with ExitStack() as lock:
        try:
            if isinstance(fs, LocalFileSystem):
                os.makedirs(path, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=path, prefix=TEMPORARY):
                    pass
                lock.enter_context(FileLock(f"{path}/{lease.NAME}", timeout=0))
            elif isinstance(fs, lease.ConditionalStore):
                lock.enter_context(lease.hold(fs, path, folder))
        except Timeout as error:
            raise UserError(f"output={folder}: another job is writing here; wait for it or choose another") from error
        except (UserError, RunFailed):
            raise
        except OSError as error:
            raise UserError(
                f"output={folder}: the folder cannot be written: {error.strerror or error}; choose another"
            ) from error
        yield


def local_copy(uri: str, cache_bytes: int, hosts: Collection[str] | None = None) -> Path:
    """A local path for a URI: the file itself if it is local, else a copy that is downloaded once per machine.

    A file that has changed is downloaded again. When the cached videos exceed `cache_bytes`, the least recently used
    ones are removed first; a file that is open stays readable until it is closed. `hosts` as `filesystem` takes them.

    Raises:
        OSError: The file cannot be read, or is larger than the cache.
    """
    fs, path = filesystem(uri, hosts)
    if isinstance(fs, LocalFileSystem):
        return Path(path)
    return copies.local_copy(fs, path, hashlib.sha256(uri.encode()).hexdigest()[:32], cache_folder(), cache_bytes)
