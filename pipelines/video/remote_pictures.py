"""Numbered pictures in a store: they are listed there, and copied to this machine as one file."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from pipelines.io import storage
from pipelines.io.stores import copies
from pipelines.video.errors import VideoError
from pipelines.video.numbered import NumberedPictures
from pipelines.video.picture_files import archive_bytes, write_archive

# This many pictures are fetched at a time, and kept in memory until they are written.
_AT_ONCE = 32

# The entries that distinguish versions of an object, as stores and web servers call them, the most reliable first.
_TAGS = (
    *("md5Hash", "Content-MD5", "Digest", "ETag", "etag"),
    *("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created"),
)

# The reason why pictures on the web cannot be a video.
NOT_LISTED = (
    "web servers do not list their files, so that nobody knows which numbers there are; give pictures in a folder or "
    "in a bucket"
)

Listing = Mapping[str, Mapping[str, Any]]
"""The entries of a file system's listing of a folder, by path."""


def listed_version(entry: Mapping[str, Any]) -> str | None:
    """The version of an object, from its entry in a listing or a web server's answer; None if it contains none.

    A hash of the content is preferred, which stays the same if the object is only copied or gets other properties.
    """
    tag = next((entry[name] for name in _TAGS if entry.get(name)), None)
    return None if tag is None else f"{entry.get('size')}-{tag}"


def version_of(versions: Mapping[str, str | None]) -> str | None:
    """The version of pictures, by path with the version of each; None where one is not known."""
    if None in versions.values():
        return None
    return f"{len(versions)}-{hashlib.sha256(repr(sorted(versions.items())).encode()).hexdigest()[:16]}"


def lists_files(fs: storage.FileSystem) -> bool:
    """Whether a file system is a store, which lists its files with their versions."""
    protocols = [fs.protocol] if isinstance(fs.protocol, str) else fs.protocol
    return not {"file", "http", "https"} & set(protocols)


def listing(fs: storage.FileSystem, pictures: NumberedPictures) -> Listing:
    """The pictures that are there, by path.

    Args:
        fs: The file system.
        pictures: The pictures, by their path there.

    Raises:
        OSError: The folder is not there, or cannot be listed.
    """
    entries = cast(Sequence[Mapping[str, Any]], fs.ls(pictures.folder.rstrip("/"), detail=True, refresh=True))
    named = {str(entry["name"]): entry for entry in entries if entry.get("type") == "file"}
    return {path: entry for path, entry in named.items() if pictures.number_of(path) is not None}


def copy_pictures(fs: storage.FileSystem, pictures: NumberedPictures, uri: str, cache_bytes: int) -> NumberedPictures:
    """A local copy of pictures in a store, as an archive in the cache; its address means the same pictures.

    Args:
        fs: The file system.
        pictures: The pictures, by their path there.
        uri: Their address.
        cache_bytes: Largest size of all copies together.

    Raises:
        VideoError: The pictures are on a web server.
        OSError: The pictures cannot be read, or are larger than the cache.
    """
    if not lists_files(fs):
        raise VideoError(NOT_LISTED)
    name = hashlib.sha256(uri.encode()).hexdigest()[:32]
    archive = copies.local_copy(_AsOneFile(fs, pictures), pictures.address, name, storage.cache_folder(), cache_bytes)
    return pictures.moved_to(f"{archive}/")


class _AsOneFile:
    """The pictures as one file for `copies`, which changes when one of them does.

    Args:
        fs: The file system.
        pictures: The pictures.
    """

    def __init__(self, fs: storage.FileSystem, pictures: NumberedPictures) -> None:
        self._fs, self._pictures = fs, pictures

    def info(self, path: str) -> Mapping[str, Any]:
        """Size of the archive, and a tag of its content.

        Raises:
            FileNotFoundError: No picture is there.
        """
        entries = listing(self._fs, self._pictures)
        if not entries:
            raise FileNotFoundError(path)
        tags = {path: listed_version(entry) or str(entry.get("size")) for path, entry in entries.items()}
        return {"size": archive_bytes(int(entry["size"]) for entry in entries.values()), "ETag": version_of(tags)}

    def get_file(self, rpath: str, lpath: str, *, callback: Any) -> None:
        """Fetch the pictures, some at a time."""
        paths = sorted(listing(self._fs, self._pictures), key=lambda path: self._pictures.number_of(path) or 0)
        write_archive(lpath, self._fetched(paths, callback))

    def _fetched(self, paths: Sequence[str], callback: Any) -> Iterator[tuple[int, bytes]]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(paths), _AT_ONCE):
                some = paths[start : start + _AT_ONCE]
                for path, content in zip(some, pool.map(self._fs.cat_file, some), strict=True):
                    callback.relative_update(len(content))
                    yield self._pictures.number_of(path) or 0, cast(bytes, content)
