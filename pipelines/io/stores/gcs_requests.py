"""Requests to Google Cloud Storage: their credentials, how long they are repeated, and what their errors mean.

Credentials are Google's application default credentials (`GOOGLE_APPLICATION_CREDENTIALS`, `gcloud auth
application-default login`, or the service account of a machine or pod), in the driver and in Ray's workers. Without
credentials only public objects can be read. `STORAGE_EMULATOR_HOST` names another server, which gets no credentials.
"""

import asyncio
import errno
import json
import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientConnectorError as NoConnection
from aiohttp import ClientError as BrokenConnection
from aiohttp import ClientTimeout, InvalidURL
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError, NonRetryableError
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

from pipelines.io.secrets import redact
from pipelines.io.stores.policy import PATIENCE_S, PassingFault, Patience, refused
from schemas.errors import UserError

# Connections that are silent for longer, and slower uploads, are given up; gcsfs would wait for ever.
_CONNECT_S, _SILENCE_S, _SLOWEST_BYTES_S = 10.0, 30.0, 2**20
# HTTP statuses after which another attempt may succeed: timeouts, too many requests, and errors of the server.
_BUSY = {408, 429, 500, 502, 503, 504}
_BUSY_REASONS = {"rateLimitExceeded", "userRateLimitExceeded"}


class GcsRequests(GCSFileSystem):
    """The file system of gcsfs, whose requests are repeated by the policy of `Patience`.

    Args:
        patience_s: How long a failing request is repeated; fsspec reads it from `FSSPEC_GS_PATIENCE_S`.
    """

    def __init__(self, *args: Any, patience_s: float = PATIENCE_S, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **{"use_listings_cache": False, "token": _token()} | kwargs)
        except (GoogleAuthError, ValueError, OSError) as error:
            message = f"gs://: the credentials cannot be used: {_reason(error)}; see GOOGLE_APPLICATION_CREDENTIALS"
            raise UserError(message) from error
        self._patience = Patience(patience_s)

    @classmethod
    def _get_kwargs_from_urls(cls, path: str) -> dict[str, Any]:
        return {}  # because gcsfs takes `clip#2` for generation 2 of `clip`

    call: Any = GCSFileSystem.call

    async def _request(
        self,
        method: str,
        path: str,
        *args: str,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        cache_type: str | None = None,
        cache_source: str | None = None,
        **kwargs: Any,
    ) -> Any:
        url, params = self._format_path(path, args), self._get_params(kwargs)
        uri = _uri(url, params)
        request = redact(f"{uri}: the store at {self._location}")
        attempt = partial(self._attempt, uri, request, method, url, headers, params=params, json=json, data=data)
        return await self._patience.call(attempt, lambda: request)

    async def _attempt(
        self, uri: str, request: str, method: str, url: str, headers: Mapping[str, str] | None, **sent: Any
    ) -> Any:
        """Send a request once; returns its answer, or raises what the answer means."""
        try:
            session = await self._set_session()
            # The headers are made in a thread, because it may have to wait for another server that renews the token.
            headers = await asyncio.to_thread(self._get_headers, headers)
            async with session.request(method, url, headers=headers, timeout=_limits(sent["data"]), **sent) as answer:
                content = await answer.read()
        except InvalidURL as error:
            raise UserError(f"{request} cannot be used: {_reason(error)}; see STORAGE_EMULATOR_HOST") from error
        except (BrokenConnection, TimeoutError, ConnectionError, TransportError) as error:
            raise PassingFault(_reason(error)) from error
        except (GoogleAuthError, HttpError, NonRetryableError) as error:  # there is no token
            cause = error.__cause__ if isinstance(error.__cause__, RefreshError) else error
            if isinstance(cause, GoogleAuthError) and cause.retryable:
                raise PassingFault(_reason(cause)) from error
            raise refused(request, _reason(cause)) from error
        if answer.status >= 400:
            _raise(answer.status, content, uri, request)
        return answer.status, answer.headers, answer.request_info, content


def _limits(data: bytes | None) -> ClientTimeout:
    total_s = _SILENCE_S + len(data) / _SLOWEST_BYTES_S if data else None
    return ClientTimeout(total=total_s, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)


def _token() -> str | None:
    """The method by which gcsfs finds credentials; None: it tries all methods."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return "anon"
    # If a file is named, no other method is tried, because it would give the rights of another account.
    return "google_default" if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") else None


def _raise(status: int, content: bytes, uri: str, request: str) -> None:
    """Raise the exception for an answer with an error."""
    try:
        answered = json.loads(content)["error"]
        message, reasons = answered["message"], {each.get("reason") for each in answered.get("errors", [])}
    except (ValueError, LookupError, TypeError, AttributeError):  # not Google's JSON, for example a proxy's error page
        message, reasons = content.decode(errors="replace").strip().partition("\n")[0][:200], set()
    reason = redact(f"{status} {message}".strip())
    if status in _BUSY or reasons & _BUSY_REASONS:
        raise PassingFault(reason)
    if status in (401, 403):
        raise refused(request, reason)
    raise OSError({404: errno.ENOENT, 412: errno.EEXIST}.get(status, errno.EIO), reason, redact(uri))


def _uri(url: str, params: Mapping[str, Any]) -> str:
    """The gs:// address that a request reads or writes."""
    names = re.search(r"/b/([^/?]+)(?:/o/([^/?]+))?", url)
    bucket, key = names.groups() if names else ("", None)
    return unquote("gs://" + "/".join(filter(None, [bucket, key or params.get("name") or params.get("prefix")])))


def _reason(error: BaseException) -> str:
    reason = str(error) or type(error).__name__
    # The text of `NoConnection` is used as a whole, because it names the host.
    if isinstance(error, OSError) and error.strerror and not isinstance(error, NoConnection):
        reason = error.strerror
    return redact(reason.splitlines()[0].rstrip("."))
