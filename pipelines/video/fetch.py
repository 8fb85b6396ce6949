"""Copies remote videos to this machine, and turns failures into reasons for people to read."""

import os
from collections.abc import Collection
from pathlib import Path

from aiohttp import ClientConnectorError, ClientError, ClientResponseError

from pipelines.io import storage
from pipelines.io.secrets import redact
from pipelines.io.stores.web import PrivateAddress
from pipelines.video.errors import VideoError
from pipelines.video.numbered import NumberedPictures, is_there
from pipelines.video.remote_pictures import copy_pictures, listing, lists_files
from schemas.errors import RunFailed

# HTTP statuses of a file that does not exist, or no longer exists.
NOT_FOUND = (404, 410)


def fetch_video(uri: str, cache_bytes: int, hosts: Collection[str] | None = None) -> Path:
    """A path on this machine for a video: itself if it is local, else a copy in the cache.

    That of numbered pictures is an address that means them, too.

    Args:
        uri: Address of the video.
        cache_bytes: Largest size of all copies together.
        hosts: As `storage.filesystem` takes them.

    Raises:
        VideoError: The video does not exist, access is refused, it cannot be reached, or it is larger than the cache.
        RunFailed: The store of the video does not answer at all, so that no video there can be read.
    """
    try:
        pictures = None if storage.is_local(uri) else NumberedPictures.of_address(uri)
        if pictures is None:
            return storage.local_copy(uri, cache_bytes, hosts)
        fs, folder = storage.filesystem(pictures.folder, hosts)
        there = pictures.moved_to(f"{folder.rstrip('/')}/")
        return Path(copy_pictures(fs, there, uri, cache_bytes).address)
    except RunFailed as error:
        # A broken answer may concern only this video. If the whole store is unreachable, this call raises RunFailed.
        storage.exists(uri, hosts)
        raise VideoError(why_not_read(uri, error)) from error
    except (OSError, ClientError) as error:
        raise VideoError(why_not_read(uri, error)) from error


def exists(uri: str, hosts: Collection[str] | None = None) -> bool:
    """Whether there is a video, or at least one of the numbered pictures that it is made of.

    Args:
        uri: Its address.
        hosts: As `storage.filesystem` takes them.

    Raises:
        OSError: Its folder or server cannot be asked.
        RunFailed: Its store does not answer.
    """
    if storage.is_local(uri):
        return is_there(uri)
    if (pictures := NumberedPictures.of_address(uri)) is None:
        return storage.exists(uri, hosts)
    fs, folder = storage.filesystem(pictures.folder, hosts)
    return lists_files(fs) and bool(listing(fs, pictures.moved_to(f"{folder.rstrip('/')}/")))


def why_not_read(uri: str, error: BaseException) -> str:
    """The reason without the address, so that the same failure of many videos has the same text.

    Args:
        uri: The address of a remote file.
        error: What reading it, or asking for it, has raised.
    """
    # fsspec reports every failure of a web server as "not found"; the real error is its cause.
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    match cause:
        case ClientResponseError(status=status) if status in NOT_FOUND:
            return f"not found ({status})"
        case ClientResponseError():  # its text would contain the address, which may be signed
            return f"cannot be read: the server answers {cause.status} {cause.message}".rstrip()
        case FileNotFoundError():
            return "not found"
        case TimeoutError():
            return "cannot be reached: no answer in time"
        case ClientConnectorError(os_error=os_error):
            number = os_error.errno or 0  # negative numbers are errors of name servers
            return f"cannot be reached: {os.strerror(number) if number > 0 else os_error.strerror or os_error}"
        case PrivateAddress():
            return f"cannot be reached: {cause.strerror}"
    message = (str(cause).splitlines() or [type(cause).__name__])[0]
    for address in (uri, storage.filesystem(uri)[1]):
        message = message.removeprefix(f"{address}: ")
    return redact(f"cannot be read: {message}" if isinstance(cause, ClientError) else message)
