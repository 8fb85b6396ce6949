"""Videos from anywhere onto this machine; why one cannot be had is told in words."""

import os
from pathlib import Path

from aiohttp import ClientConnectorError, ClientError, ClientResponseError

from pipelines.io import storage
from pipelines.io.secrets import redact
from pipelines.video.errors import VideoError
from schemas.errors import RunFailed

# What servers of the web say of what is not there, for now or for good.
_NOT_FOUND = (404, 410)


def fetch_video(uri: str, cache_bytes: int) -> Path:
    """A path on this machine for a video: itself if it is local, else a copy in the cache.

    Args:
        uri: Of the video.
        cache_bytes: Of all copies together.

    Raises:
        VideoError: It is not there, refused, out of reach, or larger than the cache.
        RunFailed: The store that holds it is gone, and with it all others there.
    """
    try:
        return storage.local_copy(uri, cache_bytes)
    except RunFailed as error:
        # Answers that break off may be of this video alone; a store that is gone says so of any question.
        storage.exists(uri)
        raise VideoError(_reason(uri, error)) from error
    except (OSError, ClientError) as error:
        raise VideoError(_reason(uri, error)) from error


def _reason(uri: str, error: BaseException) -> str:
    """Why, without the address, so that the same failure of many videos reads the same."""
    # fsspec takes whatever a server of the web does for "not found"; what it did is the cause.
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    match cause:
        case ClientResponseError(status=status) if status in _NOT_FOUND:
            return f"not found ({status})"
        case ClientResponseError():  # its own words hold the address, which may be signed
            return f"cannot be read: the server answers {cause.status} {cause.message}".rstrip()
        case FileNotFoundError():
            return "not found"
        case TimeoutError():
            return "cannot be reached: no answer in time"
        case ClientConnectorError(os_error=os_error):
            number = os_error.errno or 0  # negative ones are of name servers
            return f"cannot be reached: {os.strerror(number) if number > 0 else os_error.strerror or os_error}"
    said = (str(cause).splitlines() or [type(cause).__name__])[0]
    for address in (uri, storage.filesystem(uri)[1]):
        said = said.removeprefix(f"{address}: ")
    return redact(f"cannot be read: {said}" if isinstance(cause, ClientError) else said)
